#include "storage/dataset/small_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "storage/dataset/read_meter.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::storage {
namespace {

class Opened {
 public:
  explicit Opened(const std::filesystem::path& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) {}
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

SmallFile describe(const std::filesystem::path& path, const struct stat& status) {
  return {path, static_cast<std::uint64_t>(status.st_size),
          std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

}  // namespace

Result<SmallFile> look_at_small_file(const std::filesystem::path& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return fail_with_errno(errno, "cannot open", path);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::invalid_argument, fmt::format("{} is no ordinary file", path.string()));
  SmallFile file = describe(path, status);
  if (file.size > SmallFile::kMaxBytes)
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} has {} MiB, one sample may have {}", path.string(), file.size >> 20,
                            SmallFile::kMaxBytes >> 20));
  return file;
}

Result<void> read_small_file(const SmallFile& file, std::string& out) {
  const Opened opened(file.path);
  if (opened.get() < 0) return fail_with_errno(errno, "cannot open", file.path);
  out.resize(file.size);
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t size = ::read(opened.get(), out.data() + done, out.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_with_errno(errno, "cannot read", file.path);
    if (size == 0) break;
    done += static_cast<std::size_t>(size);
    ReadMeter::add(static_cast<std::uint64_t>(size));
  }
  struct stat status = {};
  if (::fstat(opened.get(), &status) != 0) return fail_with_errno(errno, "cannot ask about", file.path);
  const SmallFile now = describe(file.path, status);
  if (done == out.size() && now.size == file.size && now.modified_ns == file.modified_ns) return {};
  return fail(ErrorCode::conflict,
              fmt::format("{} changed while it was read: it had {} bytes, now it has {}", file.path.string(),
                          file.size, now.size),
              "Leave a job's data files alone while it runs; put a new version under a new name.");
}

}  // namespace ds::storage
