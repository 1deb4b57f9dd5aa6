#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ds::kernels {

/// What a vector of floats is sent as. All but `none` lose something.
enum class Compression : std::uint8_t {
  none,
  float16,   ///< rounded to nearest, ties to even; above 65504: infinite
  bfloat16,  ///< the same with the range of float
  int8,      ///< whole numbers of -127 to 127 times a scale for each block of 256
  top_k,     ///< the largest elements alone; what is left is kept and added to the next vector
};

/// Elements of an `int8` block.
inline constexpr std::size_t kScaleBlock = 256;

// Numbers in encodings are little-endian. Equal vectors give equal bytes on every processor. Pure apart from
// the spans; any thread.

/// Bytes of `count` elements; of `top_k`, that sends `kept` of them.
std::size_t encoded_bytes(Compression compression, std::size_t count, std::size_t kept = 0);

/// Encodes as anything but `top_k` into exactly `encoded_bytes` bytes.
///
/// `int8` sends a block as float32 scale = (largest magnitude) / 127 and then a byte for each element; an
/// element is wrong by half a scale at most, rounding aside. A block with an element that is not finite comes
/// out as NaN throughout, so that the loss of it is seen.
void encode(Compression compression, std::span<const float> vector, std::span<std::byte> out);

/// How many elements `top_k` sends of `count`: their `share`, rounded up, at least one if there is any.
std::size_t count_kept(double share, std::size_t count);

/// Adds `vector` to `residual`, moves the `kept` elements of largest magnitude out of it into an encoding,
/// and leaves zeros in their places: sent + left is that sum, to the bit. Of equal magnitudes the first are
/// sent; what is not finite counts as larger than all that is.
///
/// Layout: uint32 `kept`, then as many uint32 places, rising, then as many float32 values. `kept` is at most
/// the length, which is below 2^32.
std::vector<std::byte> encode_top_k(std::span<const float> vector, std::span<float> residual,
                                    std::size_t kept);

/// Decodes to all of `out`, zeros where `top_k` sent nothing. False when `bytes` are no such encoding of
/// `out.size()` elements; any bytes are safe, and `out` is then unspecified.
bool decode(Compression compression, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace ds::kernels
