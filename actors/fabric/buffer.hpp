#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "actors/fabric/block_pool.hpp"

namespace ds {

/// Reference-counted bytes that nobody changes any more; copies share the memory.
///
/// The owner can be anything that keeps the memory alive (a block, a tensor). Thread-safe as a `shared_ptr`.
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::shared_ptr<const void> owner, std::span<const std::byte> bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}

  /// Takes `size` bytes that are not zeroed, large ones from a pool; `fill` receives them before they become
  /// immutable.
  template <class Fill>
  static Buffer make(std::size_t size, Fill&& fill) {
    auto block = fabric::take_block(size);
    std::byte* memory = block.get();
    std::forward<Fill>(fill)(std::span<std::byte>(memory, size));
    return Buffer(std::move(block), std::span<const std::byte>(memory, size));
  }

  static Buffer copy_of(std::span<const std::byte> bytes) {
    return make(bytes.size(), [&](std::span<std::byte> out) {
      if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    });
  }

  static Buffer copy_of(std::string_view text) { return copy_of(std::as_bytes(std::span(text))); }

  std::span<const std::byte> bytes() const { return bytes_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  /// A part of this buffer that shares its memory; `offset + length` must not exceed `size()`.
  Buffer slice(std::size_t offset, std::size_t length) const {
    return Buffer(owner_, bytes_.subspan(offset, length));
  }

  /// Equal bytes, wherever they lie.
  bool operator==(const Buffer& other) const { return text() == other.text(); }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

}  // namespace ds
