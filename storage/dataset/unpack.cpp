#include "storage/dataset/unpack.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "storage/dataset/read_meter.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::storage {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
constexpr std::uint64_t kLeaveFreeBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kAskForSpaceEvery = std::uint64_t{64} << 20;

using Take = std::function<Result<bool>(std::string_view)>;  // false: enough

tl::unexpected<Error> fail_damaged(const std::string& name, std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", name, what),
              "Fetch or pack the file again; `gzip -t` or `zstd -t` must find nothing.");
}

/// One packed stream after the other, fed in pieces.
class Unpacker {
 public:
  virtual ~Unpacker() = default;
  /// Gives what comes out to `take`; false when that has enough.
  virtual Result<bool> feed(std::string_view packed, const Take& take) = 0;
  virtual bool complete() const = 0;
};

class GzipUnpacker final : public Unpacker {
 public:
  explicit GzipUnpacker(std::string name) : name_(std::move(name)), out_(kBufferBytes, '\0') {
    ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
  }
  GzipUnpacker(const GzipUnpacker&) = delete;
  GzipUnpacker& operator=(const GzipUnpacker&) = delete;
  ~GzipUnpacker() override { inflateEnd(&stream_); }

  bool complete() const override { return at_end_; }

  Result<bool> feed(std::string_view packed, const Take& take) override {
    if (!ready_) return fail(ErrorCode::resource_exhausted, "no memory for zlib");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    while (stream_.avail_in > 0 || stream_.avail_out == 0) {
      if (at_end_ && stream_.avail_in > 0) {
        inflateReset(&stream_);
        at_end_ = false;
      } else if (at_end_) {
        break;
      }
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
        return fail_damaged(name_, fmt::format("the gzip stream is damaged ({})",
                                               stream_.msg != nullptr ? stream_.msg : "no message"));
      at_end_ = status == Z_STREAM_END;
      auto wanted = take(std::string_view(out_).substr(0, out_.size() - stream_.avail_out));
      if (!wanted || !*wanted) return wanted;
      if (status == Z_BUF_ERROR) break;
    }
    return true;
  }

 private:
  std::string name_;
  std::string out_;
  z_stream stream_ = {};
  bool ready_ = false;
  bool at_end_ = false;
};

class ZstdUnpacker final : public Unpacker {
 public:
  explicit ZstdUnpacker(std::string name)
      : name_(std::move(name)), out_(kBufferBytes, '\0'), context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {}

  bool complete() const override { return left_ == 0; }

  Result<bool> feed(std::string_view packed, const Take& take) override {
    if (!context_) return fail(ErrorCode::resource_exhausted, "no memory for zstd");
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    bool full = false;
    while (in.pos < in.size || full) {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      const std::size_t status = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(status) != 0)
        return fail_damaged(name_, fmt::format("the zstd stream is damaged ({})", ZSTD_getErrorName(status)));
      left_ = status;
      full = out.pos == out.size;
      auto wanted = take(std::string_view(out_).substr(0, out.pos));
      if (!wanted || !*wanted) return wanted;
    }
    return true;
  }

 private:
  std::string name_;
  std::string out_;
  std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context_;
  std::size_t left_ = 1;
};

std::unique_ptr<Unpacker> make_unpacker(Packing packing, const std::string& name) {
  if (packing == Packing::gzip) return std::make_unique<GzipUnpacker>(name);
  return std::make_unique<ZstdUnpacker>(name);
}

tl::unexpected<Error> fail_cut_off(const std::string& name) {
  return fail_damaged(name, "the file ends in the midst of its packed bytes");
}

}  // namespace

Packing packing_of(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1F\x8B")) return Packing::gzip;
  if (first_bytes.starts_with("\x28\xB5\x2F\xFD")) return Packing::zstd;
  return Packing::none;
}

Result<TemporaryFile> make_temporary_file() {
  const std::filesystem::path directory = std::filesystem::temp_directory_path();
  int descriptor = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0 && errno == EOPNOTSUPP) {  // a file system where every file begins with a name
    std::string pattern = (directory / "ds-unpacked-XXXXXX").string();
    descriptor = ::mkostemp(pattern.data(), O_CLOEXEC);
    if (descriptor >= 0) ::unlink(pattern.c_str());
  }
  if (descriptor < 0) return fail_with_errno(errno, "cannot create a temporary file in", directory);
  return TemporaryFile{descriptor, 0};
}

Result<void> append_to(TemporaryFile& file, std::string_view bytes) {
  if (file.size / kAskForSpaceEvery != (file.size + bytes.size()) / kAskForSpaceEvery) {
    auto room = require_free_bytes(std::filesystem::temp_directory_path(), kLeaveFreeBytes);
    if (!room) return room;
  }
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      return fail_with_errno(errno, "cannot unpack a data file into", std::filesystem::temp_directory_path());
    file.size += static_cast<std::uint64_t>(written);
    ReadMeter::add(static_cast<std::uint64_t>(written));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<TemporaryFile> unpack_to_temporary_file(int descriptor, const std::filesystem::path& file,
                                               Packing packing, std::uint64_t limit) {
  auto out = make_temporary_file();
  if (!out) return out;
  const auto drop = [&](Error error) {
    ::close(out->descriptor);
    return tl::unexpected(std::move(error));
  };
  const Take take = [&](std::string_view bytes) -> Result<bool> {
    if (out->size + bytes.size() > limit)
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("{} unpacks to more than {} GiB", file.string(), limit >> 30),
                  "Unpack it yourself and give the plain file.");
    auto written = append_to(*out, bytes);
    if (!written) return tl::unexpected(written.error());
    return true;
  };
  const auto unpacker = make_unpacker(packing, file.string());
  std::string piece(kBufferBytes, '\0');
  for (std::uint64_t offset = 0;;) {
    const ssize_t size = ::pread(descriptor, piece.data(), piece.size(), static_cast<off_t>(offset));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return drop(fail_with_errno(errno, "cannot read", file).value());
    if (size == 0) break;
    ReadMeter::add(static_cast<std::uint64_t>(size));
    auto fed = unpacker->feed({piece.data(), static_cast<std::size_t>(size)}, take);
    if (!fed) return drop(fed.error());
    offset += static_cast<std::uint64_t>(size);
  }
  if (!unpacker->complete()) return drop(fail_cut_off(file.string()).value());
  return out;
}

Result<void> unpack_bytes(std::string_view packed, const std::string& name, std::uint64_t limit,
                          std::uint64_t stop_at, std::string& out) {
  out.clear();
  const Packing packing = packing_of(packed);
  if (packing == Packing::none) {
    out.assign(packed);
    return {};
  }
  bool enough = false;
  const auto unpacker = make_unpacker(packing, name);
  auto fed = unpacker->feed(packed, [&](std::string_view bytes) -> Result<bool> {
    if (out.size() + bytes.size() > limit)
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("{} unpacks to more than {} MiB", name, limit >> 20));
    out.append(bytes);
    enough = out.size() >= stop_at;
    return !enough;
  });
  if (!fed) return tl::unexpected(fed.error());
  if (!enough && !unpacker->complete()) return fail_cut_off(name);
  return {};
}

}  // namespace ds::storage
