#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "actors/fabric/owned_fd.hpp"
#include "storage/result.hpp"

namespace ds::fabric {

/// Memory that two processes see, without a name: it exists as long as somebody maps it or holds its
/// descriptor.
///
/// Its size is sealed, so that nobody can cut it off under the other one's hands.
class SharedSegment {
 public:
  SharedSegment() = default;
  SharedSegment(SharedSegment&& other) noexcept
      : fd_(std::move(other.fd_)), bytes_(std::exchange(other.bytes_, {})) {}
  SharedSegment& operator=(SharedSegment&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~SharedSegment();

  enum class Writers { all, maker };

  /// Makes and maps one of `size` zero bytes; `label` shows up in /proc/PID/maps.
  static Result<SharedSegment> create(const char* label, std::size_t size, Writers writers = Writers::all);
  /// Maps one that another process made, read-only if the maker alone may write. `invalid_argument` unless it
  /// has exactly `size` bytes and is sealed so.
  static Result<SharedSegment> attach(OwnedFd fd, std::size_t size, Writers writers = Writers::all);

  std::span<std::byte> bytes() const { return bytes_; }
  /// To be passed to another process; -1 once `forget_descriptor` was called.
  int fd() const { return fd_.get(); }
  /// The mapping is enough from here on.
  void forget_descriptor() { fd_ = OwnedFd(); }

 private:
  static Result<SharedSegment> map(OwnedFd fd, std::size_t size, int protection);

  OwnedFd fd_;
  std::span<std::byte> bytes_;
};

}  // namespace ds::fabric
