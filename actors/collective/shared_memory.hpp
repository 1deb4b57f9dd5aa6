#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace ds::collective {

/// Memory that the peers of a communicator on the same host can read and write too.
///
/// Shared by its copies; goes back to its communicator with the last of them. Peers touch it only within
/// operations whose vectors lie in it; after a failed operation its contents are unspecified and may still
/// change until the peers' communicators are gone too.
class SharedMemory {
 public:
  SharedMemory() = default;
  SharedMemory(std::shared_ptr<std::byte> memory, std::size_t size)
      : memory_(std::move(memory)), size_(size) {}

  std::span<std::byte> bytes() const { return {memory_.get(), size_}; }
  std::size_t size() const { return size_; }

  /// As elements; what does not fill one is left out. The memory starts at a page, so it fits every type.
  template <class T>
  std::span<T> as() const {
    return {reinterpret_cast<T*>(memory_.get()), size_ / sizeof(T)};
  }

 private:
  std::shared_ptr<std::byte> memory_;
  std::size_t size_ = 0;
};

}  // namespace ds::collective
