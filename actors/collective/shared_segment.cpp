#include "actors/collective/shared_segment.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif

namespace ds::collective {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

tl::unexpected<Error> short_of(const char* what, std::size_t bytes) {
  return fail(ErrorCode::resource_exhausted,
              fmt::format("no shared memory of {} bytes: {}: {}", bytes, what, std::strerror(errno)));
}

}  // namespace

/// What this process has mapped.
struct SharedSegment::Registry {
  std::mutex mutex;
  std::map<Identity, std::weak_ptr<SharedSegment>> segments;
};

SharedSegment::Registry& SharedSegment::registry() {
  static Registry registry;
  return registry;
}

Result<std::shared_ptr<SharedSegment>> SharedSegment::create(std::size_t bytes, std::size_t touch) {
  const std::size_t unit = bytes >= kHugePage ? kHugePage : kPage;
  const std::size_t size = (std::max<std::size_t>(bytes, 1) + unit - 1) / unit * unit;
  fabric::OwnedFd file(memfd_create("ds-collective", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return short_of("memfd_create", bytes);
  if (ftruncate(file.get(), static_cast<off_t>(size)) != 0) return short_of("ftruncate", bytes);
  if (fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) return short_of("sealing it", bytes);
  Result<std::shared_ptr<SharedSegment>> segment = map(std::move(file));
  if (segment) {
    if (Result<void> touched = (*segment)->touch(std::min(touch, size)); !touched)
      return tl::unexpected(touched.error());
  }
  return segment;
}

Result<std::shared_ptr<SharedSegment>> SharedSegment::open(const fabric::OwnedFd& memory, std::size_t bytes) {
  struct stat status {};
  const int seals = fcntl(memory.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || fstat(memory.get(), &status) != 0 ||
      static_cast<std::size_t>(status.st_size) < bytes) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("what a peer sent is no sealed memory of {} bytes", bytes));
  }
  fabric::OwnedFd own(fcntl(memory.get(), F_DUPFD_CLOEXEC, 0));
  if (!own) return short_of("dup", bytes);
  return map(std::move(own));
}

Result<std::shared_ptr<SharedSegment>> SharedSegment::map(fabric::OwnedFd file) {
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return short_of("fstat", 0);
  const auto size = static_cast<std::size_t>(status.st_size);
  const Identity identity{status.st_dev, status.st_ino};
  const std::lock_guard lock(registry().mutex);
  std::weak_ptr<SharedSegment>& known = registry().segments[identity];
  if (auto mapped = known.lock()) return mapped;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) {
    registry().segments.erase(identity);
    return short_of("mmap", size);
  }
  if (size >= kHugePage) madvise(memory, size, MADV_HUGEPAGE);  // where the system allows it
  const std::shared_ptr<SharedSegment> segment(
      new SharedSegment(static_cast<std::byte*>(memory), size, identity, std::move(file)));
  known = segment;
  return segment;
}

SharedSegment::~SharedSegment() {
  {
    const std::lock_guard lock(registry().mutex);
    const auto found = registry().segments.find(identity_);
    // Another thread may have mapped it anew since the last owner let go.
    if (found != registry().segments.end() && found->second.expired()) registry().segments.erase(found);
  }
  munmap(memory_, size_);
}

Result<void> SharedSegment::touch(std::size_t size) const {
  if (size == 0) return {};
  const std::size_t whole = (size + kPage - 1) / kPage * kPage;
  if (madvise(memory_, whole, MADV_POPULATE_WRITE) == 0) return {};
  if (errno == EINVAL) return {};  // an older kernel: the first use touches it
  return short_of("touching it", size);
}

Result<fabric::OwnedFd> SharedSegment::duplicate() const {
  fabric::OwnedFd copy(fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return short_of("dup", size_);
  return copy;
}

}  // namespace ds::collective
