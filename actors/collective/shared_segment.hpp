#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "actors/fabric/owned_fd.hpp"
#include "storage/result.hpp"

namespace ds::collective {

/// A piece of anonymous memory that several processes have mapped. It has no name anywhere, so that it ends
/// with the last of them, however they end.
///
/// Its size is sealed: neither side can make the other fault by cutting it. Within a process one piece is
/// mapped once, whoever opens it: members that are threads of one process meet at the same addresses.
/// Thread-safe.
class SharedSegment {
 public:
  /// At least `bytes` bytes of zeros; `touch` of them are given pages now, for a first touch costs ten times
  /// a copy. Fails with `resource_exhausted` when memory or descriptors are short.
  static Result<std::shared_ptr<SharedSegment>> create(std::size_t bytes, std::size_t touch);

  /// Maps what another process created. Fails with `invalid_argument` when it is no sealed segment of `bytes`
  /// bytes at least.
  static Result<std::shared_ptr<SharedSegment>> open(const fabric::OwnedFd& memory, std::size_t bytes);

  ~SharedSegment();
  SharedSegment(const SharedSegment&) = delete;
  SharedSegment& operator=(const SharedSegment&) = delete;

  std::span<std::byte> bytes() const { return {memory_, size_}; }
  /// Gives pages to the first `size` bytes of a mapping.
  Result<void> touch(std::size_t size) const;
  /// A new descriptor of it, to be sent to other processes.
  Result<fabric::OwnedFd> duplicate() const;

 private:
  struct Identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    bool operator<(const Identity& other) const {
      return device != other.device ? device < other.device : inode < other.inode;
    }
  };
  struct Registry;
  static Registry& registry();

  SharedSegment(std::byte* memory, std::size_t size, Identity identity, fabric::OwnedFd file)
      : memory_(memory), size_(size), identity_(identity), file_(std::move(file)) {}
  static Result<std::shared_ptr<SharedSegment>> map(fabric::OwnedFd file);

  std::byte* memory_;
  std::size_t size_;
  Identity identity_;
  fabric::OwnedFd file_;
};

}  // namespace ds::collective
