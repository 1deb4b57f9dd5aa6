#include "actors/fabric/shared_segment.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ds::fabric {
namespace {

int seals_for(SharedSegment::Writers writers) {
  constexpr int kFixedSize = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  return writers == SharedSegment::Writers::all ? kFixedSize : kFixedSize | F_SEAL_FUTURE_WRITE;
}

tl::unexpected<Error> os_error(const char* what) {
  const auto code = errno == ENOMEM || errno == EMFILE || errno == ENFILE ? ErrorCode::resource_exhausted
                                                                          : ErrorCode::unavailable;
  return fail(code, fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

SharedSegment::~SharedSegment() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

Result<SharedSegment> SharedSegment::map(OwnedFd fd, std::size_t size, int protection) {
  void* memory = ::mmap(nullptr, size, protection, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return os_error("mapping shared memory");
  SharedSegment segment;
  segment.fd_ = std::move(fd);
  segment.bytes_ = {static_cast<std::byte*>(memory), size};
  return segment;
}

Result<SharedSegment> SharedSegment::create(const char* label, std::size_t size, Writers writers) {
  OwnedFd fd(::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return os_error("memfd_create");
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return os_error("sizing shared memory");
  const int descriptor = fd.get();
  auto segment = map(std::move(fd), size, PROT_READ | PROT_WRITE);
  // Only now: the seal against writers spares the mappings that there are.
  if (segment && ::fcntl(descriptor, F_ADD_SEALS, seals_for(writers)) != 0)
    return os_error("sealing shared memory");
  return segment;
}

Result<SharedSegment> SharedSegment::attach(OwnedFd fd, std::size_t size, Writers writers) {
  struct stat status {};
  const int wanted = seals_for(writers);
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & wanted) != wanted || ::fstat(fd.get(), &status) != 0 ||
      static_cast<std::size_t>(status.st_size) != size) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("that is not a sealed shared segment of {} bytes", size));
  }
  return map(std::move(fd), size, writers == Writers::all ? PROT_READ | PROT_WRITE : PROT_READ);
}

}  // namespace ds::fabric
