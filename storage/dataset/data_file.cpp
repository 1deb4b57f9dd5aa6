#include "storage/dataset/data_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "storage/dataset/read_meter.hpp"
#include "storage/dataset/unpack.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::storage {
namespace {

constexpr std::size_t kEdgeBytes = 4096;

std::int64_t modified_ns(const struct stat& status) {
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

/// Bytes read, which are fewer at the file's end; negative on an error.
std::int64_t read_at(int descriptor, std::uint64_t offset, std::span<char> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t size =
        ::pread(descriptor, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return -1;
    if (size == 0) break;
    done += static_cast<std::size_t>(size);
    ReadMeter::add(static_cast<std::uint64_t>(size));
  }
  return static_cast<std::int64_t>(done);
}

}  // namespace

PieceCache::Piece PieceCache::find(std::uint64_t file, std::uint64_t number) {
  std::lock_guard lock(mutex_);
  const auto found = places_.find({file, number});
  if (found == places_.end()) return {};
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->piece;
}

void PieceCache::put(std::uint64_t file, std::uint64_t number, const Piece& piece) {
  std::lock_guard lock(mutex_);
  if (places_.contains({file, number})) return;
  entries_.push_front({{file, number}, piece});
  places_.emplace(Key{file, number}, entries_.begin());
  bytes_ += piece->size();
  while (bytes_ > most_bytes_ && entries_.size() > 1) {
    bytes_ -= entries_.back().piece->size();
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

DataFile::DataFile(std::filesystem::path path, std::string name, int watched,
                   std::shared_ptr<PieceCache> cache)
    : path_(std::move(path)),
      name_(std::move(name)),
      watched_(watched),
      descriptor_(watched),
      cache_(std::move(cache)) {
  static std::atomic<std::uint64_t> next{1};
  number_ = next++;
}

DataFile::~DataFile() {
  if (descriptor_ != watched_) ::close(descriptor_);
  if (watched_ >= 0) ::close(watched_);
}

Result<void> DataFile::identify() {
  struct stat status = {};
  if (::fstat(watched_, &status) != 0) return fail_with_errno(errno, "cannot ask about", path_);
  if (S_ISDIR(status.st_mode))
    return fail(ErrorCode::invalid_argument, fmt::format("{} is a directory, not a file", path_.string()));
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::invalid_argument, fmt::format("{} is no ordinary file", path_.string()),
                "Records are read at any place, in any order: pipes and devices cannot do that.");
  identity_.size = static_cast<std::uint64_t>(status.st_size);
  identity_.modified_ns = modified_ns(status);
  std::string edges(std::min<std::size_t>(identity_.size, 2 * kEdgeBytes), '\0');
  const std::size_t front = std::min(edges.size(), kEdgeBytes);
  const std::size_t back = edges.size() - front;
  if (read_at(watched_, 0, std::span(edges).first(front)) != static_cast<std::int64_t>(front) ||
      read_at(watched_, identity_.size - back, std::span(edges).last(back)) !=
          static_cast<std::int64_t>(back))
    return fail_with_errno(errno == 0 ? EIO : errno, "cannot read", path_);
  identity_.edges = sha256(edges);
  size_ = identity_.size;
  return {};
}

Result<std::shared_ptr<const DataFile>> DataFile::open(const std::filesystem::path& file,
                                                       std::shared_ptr<PieceCache> cache) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0) return fail_with_errno(errno, "cannot open", file);
  std::shared_ptr<DataFile> opened(new DataFile(file, file.string(), descriptor, std::move(cache)));
  auto identified = opened->identify();
  if (!identified) return tl::unexpected(identified.error());
  char first[4] = {};
  const std::int64_t have = read_at(descriptor, 0, first);
  const Packing packing = packing_of({first, static_cast<std::size_t>(std::max<std::int64_t>(have, 0))});
  if (packing == Packing::none) return opened;
  const auto unpacked = unpack_to_temporary_file(descriptor, file, packing, kMaxUnpackedBytes);
  if (!unpacked) return tl::unexpected(unpacked.error());
  opened->descriptor_ = unpacked->descriptor;
  opened->size_ = unpacked->size;
  return opened;
}

Result<std::shared_ptr<const DataFile>> DataFile::adopt(const std::filesystem::path& file, std::string name,
                                                        int unpacked, std::shared_ptr<PieceCache> cache) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  const int opening = errno;
  std::shared_ptr<DataFile> opened(new DataFile(file, std::move(name), descriptor, std::move(cache)));
  opened->descriptor_ = unpacked;
  if (descriptor < 0) return fail_with_errno(opening, "cannot open", file);
  auto identified = opened->identify();
  if (!identified) return tl::unexpected(identified.error());
  struct stat status = {};
  if (::fstat(unpacked, &status) != 0) return fail_with_errno(errno, "cannot ask about", file);
  opened->size_ = static_cast<std::uint64_t>(status.st_size);
  return opened;
}

tl::unexpected<Error> DataFile::fail_changed(std::uint64_t now) const {
  return fail(ErrorCode::conflict,
              fmt::format("{} changed while it was read: it had {} bytes, now it has {}", path_.string(),
                          identity_.size, now),
              "Leave a job's data files alone while it runs; put a new version under a new name.");
}

Result<void> DataFile::read(std::uint64_t offset, std::span<char> out) const {
  if (offset > size_ || out.size() > size_ - offset)
    return fail(ErrorCode::invalid_argument, fmt::format("{} ends after {} bytes, where {} are needed", name_,
                                                         size_, offset + out.size()));
  const std::int64_t size = read_at(descriptor_, offset, out);
  if (size < 0) return fail_with_errno(errno, "cannot read", path_);
  if (static_cast<std::size_t>(size) != out.size())
    return fail_changed(offset + static_cast<std::uint64_t>(size));
  return {};
}

Result<std::string_view> DataFile::view(std::uint64_t offset, std::size_t size, FilePin& pin) const {
  if (offset > size_ || size > size_ - offset)
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} ends after {} bytes, where {} are needed", name_, size_, offset + size));
  const std::uint64_t number = offset / PieceCache::kPieceBytes;
  const std::uint64_t begin = number * PieceCache::kPieceBytes;
  if (offset + size > begin + PieceCache::kPieceBytes) {
    pin.joined.resize(size);
    auto taken = read(offset, pin.joined);
    if (!taken) return tl::unexpected(taken.error());
    return std::string_view(pin.joined);
  }
  if (pin.file != number_ || pin.number != number || !pin.piece) {
    PieceCache::Piece piece = cache_->find(number_, number);
    if (!piece) {
      const auto length = std::min<std::uint64_t>(PieceCache::kPieceBytes, size_ - begin);
      auto fresh = std::make_shared<std::vector<char>>(static_cast<std::size_t>(length));
      auto taken = read(begin, *fresh);
      if (!taken) return tl::unexpected(taken.error());
      piece = std::move(fresh);
      cache_->put(number_, number, piece);
    }
    pin.file = number_;
    pin.number = number;
    pin.piece = std::move(piece);
  }
  return std::string_view(pin.piece->data() + (offset - begin), size);
}

Result<void> DataFile::check_unchanged() const {
  struct stat status = {};
  if (::fstat(watched_, &status) != 0) return fail_with_errno(errno, "cannot ask about", path_);
  if (static_cast<std::uint64_t>(status.st_size) == identity_.size &&
      modified_ns(status) == identity_.modified_ns)
    return {};
  return fail_changed(static_cast<std::uint64_t>(status.st_size));
}

Result<Sha256> DataFile::sum() const {
  Sha256Hasher hasher;
  std::string buffer(std::size_t{1} << 20, '\0');
  for (std::uint64_t offset = 0; offset < identity_.size;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), identity_.size - offset));
    const std::int64_t have = read_at(watched_, offset, std::span(buffer).first(size));
    if (have < 0) return fail_with_errno(errno, "cannot read", path_);
    if (static_cast<std::size_t>(have) != size)
      return fail_changed(offset + static_cast<std::uint64_t>(have));
    hasher.add(std::string_view(buffer).substr(0, size));
    offset += size;
  }
  return hasher.finish();
}

}  // namespace ds::storage
