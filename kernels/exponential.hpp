#pragma once

// Private to kernels: for loops that become vector code, with the same bits on every processor.

#include <bit>
#include <cstdint>

namespace ds::kernels {

/// e^x for |x| up to 87, beyond that as there; of NaN: NaN. Cody and Waite's reduction and Cephes'
/// polynomial.
[[gnu::always_inline]] inline float exponential(float x) {
  constexpr float kMost = 87, kLog2e = 1.44269504F, kRounder = 12582912;
  constexpr float kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  x = x > kMost ? kMost : x;
  x = x < -kMost ? -kMost : x;
  const float rounded = x * kLog2e + kRounder;
  const float power = rounded - kRounder;
  const float rest = (x - power * kLn2High) - power * kLn2Low;
  float sum = 1.9875691500e-4F;
  sum = sum * rest + 1.3981999507e-3F;
  sum = sum * rest + 8.3334519073e-3F;
  sum = sum * rest + 4.1665795894e-2F;
  sum = sum * rest + 1.6666665459e-1F;
  sum = sum * rest + 5.0000001201e-1F;
  sum = sum * (rest * rest) + rest + 1;
  const std::int32_t bits = (std::bit_cast<std::int32_t>(rounded) - 0x4B400000 + 127) << 23;
  return sum * std::bit_cast<float>(bits);
}

}  // namespace ds::kernels
