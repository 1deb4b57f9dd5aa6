#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/result.hpp"

namespace ds::storage {

struct ImageSize {
  std::uint32_t height = 0, width = 0;
  std::uint32_t channels = 0;  ///< 1: grey, 3: red, green, blue
  bool operator==(const ImageSize&) const = default;
};

/// Samples of 8 bits, row by row, the channels of a pixel side by side.
struct Pixels {
  ImageSize size;
  std::vector<std::uint8_t> bytes;
};

inline constexpr std::uint64_t kMaxPixels = std::uint64_t{1} << 27;

/// What the header of a JPEG or PNG file says, which of both it is told by its first bytes. `name` is for
/// errors.
Result<ImageSize> read_image_size(std::string_view file, const std::string& name);

/// Decodes it to 1 or 3 `channels`. A JPEG that is at least twice as large as `enough` both ways may come out
/// at a half, a quarter or an eighth of its size, never below `enough` (0: whole), which is faster. A damaged
/// or cut-off file is `invalid_argument`. Not thread-safe for one `out`.
Result<void> decode_image(std::string_view file, const std::string& name, std::uint32_t channels,
                          ImageSize enough, Pixels& out);

}  // namespace ds::storage
