#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ds::fabric {

static_assert(std::endian::native == std::endian::little, "integers are copied as they lie in memory");

/// Appends little-endian integers and bytes to a block.
class WireWriter {
 public:
  WireWriter() = default;
  /// Takes memory for `expected` bytes at once.
  explicit WireWriter(std::size_t expected) { block_.reserve(expected); }

  template <class Int>
  void integer(Int value) {
    bytes(std::as_bytes(std::span(&value, 1)));
  }
  void bytes(std::span<const std::byte> raw) {
    const std::size_t at = block_.size();
    block_.resize(at + raw.size());
    if (!raw.empty()) std::memcpy(block_.data() + at, raw.data(), raw.size());
  }
  /// A 16-bit length, then the text; cuts what is longer.
  void text(std::string_view value) {
    value = value.substr(0, 0xffff);
    integer(static_cast<std::uint16_t>(value.size()));
    bytes(std::as_bytes(std::span(value)));
  }

  const std::vector<std::byte>& block() const { return block_; }
  std::vector<std::byte> take() { return std::move(block_); }

 private:
  std::vector<std::byte> block_;
};

/// Reads what a `WireWriter` wrote. A read past the end gives zeros and makes `ok()` false for good.
class WireReader {
 public:
  explicit WireReader(std::span<const std::byte> block) : rest_(block) {}

  template <class Int>
  Int integer() {
    Int value{};
    auto raw = bytes(sizeof(Int));
    if (!raw.empty()) std::memcpy(&value, raw.data(), sizeof(Int));
    return value;
  }
  std::span<const std::byte> bytes(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    auto head = rest_.first(count);
    rest_ = rest_.subspan(count);
    return head;
  }
  std::string text() {
    auto raw = bytes(integer<std::uint16_t>());
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
  }

  bool ok() const { return ok_; }
  std::size_t left() const { return rest_.size(); }
  /// Nothing was missing and nothing is left.
  bool complete() const { return ok_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

}  // namespace ds::fabric
