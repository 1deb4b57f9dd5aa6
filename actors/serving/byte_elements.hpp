#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ds::serving {

/// Walks over the elements of a BYTES tensor: each a 4-byte little-endian length and so many bytes.
class ByteElements {
 public:
  explicit ByteElements(std::span<const std::byte> bytes) : rest_(bytes) {}

  /// The next element; none: at the end, or what is left is no element (`rest()` tells).
  std::optional<std::string_view> next();
  /// What has not been read yet.
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
};

/// What is wrong with `bytes` as `count` elements that fill them exactly; empty: nothing.
std::string find_fault_in_elements(std::span<const std::byte> bytes, std::uint64_t count);

/// Appends one element. False: it is longer than its length can say (4 GiB), and `out` as it was.
bool append_byte_element(std::string& out, std::string_view element);

}  // namespace ds::serving
