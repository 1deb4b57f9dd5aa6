#include "kernels/convert.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

namespace ds::kernels {
namespace {

/// The value of a binary16, from its definition.
double value_of(Float16 half) {
  const int exponent = half.bits >> 10U & 31U, fraction = half.bits & 0x3FFU;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (half.bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

template <class T>
std::vector<T> all_patterns() {
  std::vector<T> patterns(65536);
  for (std::uint32_t i = 0; i < 65536; ++i) patterns[i] = T{static_cast<std::uint16_t>(i)};
  return patterns;
}

template <class T>
std::vector<float> widened(const std::vector<T>& from) {
  std::vector<float> to(from.size());
  widen(std::span(to), std::span(from));
  return to;
}

template <class T>
std::vector<T> narrowed(const std::vector<float>& from) {
  std::vector<T> to(from.size());
  narrow(std::span(to), std::span(from));
  return to;
}

TEST(Convert, WidensEveryBinary16Exactly) {
  const auto patterns = all_patterns<Float16>();
  const auto wide = widened(patterns);
  for (const Float16 half : patterns) {
    const auto bits = std::bit_cast<std::uint32_t>(wide[half.bits]);
    ASSERT_EQ(bits >> 31U, half.bits >> 15U) << half.bits;
    if ((half.bits & 0x7C00U) != 0x7C00U) {
      ASSERT_EQ(static_cast<double>(wide[half.bits]), value_of(half)) << half.bits;
    } else if ((half.bits & 0x3FFU) == 0) {
      ASSERT_TRUE(std::isinf(wide[half.bits])) << half.bits;
    } else {
      ASSERT_EQ(bits & 0x7FFFFFFFU, 0x7FC00000U | (half.bits & 0x3FFU) << 13U) << half.bits;
    }
  }
}

TEST(Convert, WidensEveryBfloat16ToItsUpperHalf) {
  const auto wide = widened(all_patterns<BFloat16>());
  for (std::uint32_t i = 0; i < 65536; ++i) ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[i]), i << 16U);
}

template <class T>
void expect_round_trip(std::uint16_t exponent_mask, std::uint16_t quiet) {
  const auto back = narrowed<T>(widened(all_patterns<T>()));
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const bool nan = (i & exponent_mask) == exponent_mask && (i & 0x7FFFU) != exponent_mask;
    ASSERT_EQ(back[i].bits, nan ? i | quiet : i);
  }
}

TEST(Convert, NarrowsWhatItWidenedToTheSameBitsButMakesNansQuiet) {
  expect_round_trip<Float16>(0x7C00, 0x200);
  expect_round_trip<BFloat16>(0x7F80, 0x40);
}

/// The nearest of the finite patterns below infinity and of infinity, ties to the even pattern; values ascend
/// with the patterns.
template <class T, class Value>
std::uint16_t nearest(float value, std::uint16_t infinity, double above_largest, Value&& value_at) {
  const double magnitude = std::fabs(static_cast<double>(value));
  std::uint16_t low = 0, high = infinity;
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (value_at(middle) <= magnitude ? low : high) = middle;
  }
  const double below = value_at(low), above = high == infinity ? above_largest : value_at(high);
  const double down = magnitude - below, up = above - magnitude;
  const bool choose_high = up < down || (up == down && high % 2 == 0);
  return static_cast<std::uint16_t>((choose_high ? high : low) | (std::signbit(value) ? 0x8000U : 0U));
}

/// Random patterns, and everything near the middles between neighbours.
std::vector<float> hard_floats(const std::vector<float>& representable) {
  std::mt19937 generator(7);
  std::vector<float> values;
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(generator()));
    if (std::isfinite(value)) values.push_back(value);
  }
  for (std::size_t i = 0; i + 1 < representable.size(); ++i) {
    const float a = representable[i], b = representable[i + 1];
    if (!std::isfinite(a) || !std::isfinite(b) || std::signbit(a) != std::signbit(b)) continue;
    const auto middle = static_cast<float>((static_cast<double>(a) + b) / 2);
    for (float value : {middle, std::nextafterf(middle, 0), std::nextafterf(middle, 2 * b)})
      values.push_back(value);
  }
  return values;
}

TEST(Convert, NarrowsToTheNearestBinary16WithTiesToEven) {
  const auto values = hard_floats(widened(all_patterns<Float16>()));
  const auto halves = narrowed<Float16>(values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto expected = nearest<Float16>(values[i], 0x7C00, 65536,
                                           [](std::uint16_t pattern) { return value_of(Float16{pattern}); });
    ASSERT_EQ(halves[i].bits, expected) << values[i];
  }
}

TEST(Convert, NarrowsToTheNearestBfloat16WithTiesToEven) {
  const auto values = hard_floats(widened(all_patterns<BFloat16>()));
  const auto halves = narrowed<BFloat16>(values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto expected = nearest<BFloat16>(values[i], 0x7F80, 0x1p128, [](std::uint16_t pattern) {
      return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(pattern) << 16U));
    });
    ASSERT_EQ(halves[i].bits, expected) << values[i];
  }
}

TEST(Convert, KeepsSignAndUpperPayloadOfNansAndMakesThemQuiet) {
  const std::vector<float> nans{std::bit_cast<float>(0x7F800001U), std::bit_cast<float>(0xFFA0E000U)};
  EXPECT_EQ(narrowed<Float16>(nans), (std::vector<Float16>{{0x7E00}, {0xFF07}}));
  EXPECT_EQ(narrowed<BFloat16>(nans), (std::vector<BFloat16>{{0x7FC0}, {0xFFE0}}));
}

}  // namespace
}  // namespace ds::kernels
