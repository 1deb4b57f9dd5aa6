#include "kernels/gradient.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace ds::kernels {
namespace {

/// Sums that are kept side by side in a block, so that the loop is vector code; part of what the result is.
constexpr std::size_t kLanes = 16;

double sum_block(const float* __restrict values, std::size_t count) {
  std::array<double, kLanes> lanes{};
  const std::size_t whole = count - count % kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      lanes[lane] += value * value;
    }
  }
  for (std::size_t i = whole; i < count; ++i) {
    const double value = values[i];
    lanes[i - whole] += value * value;
  }
  return add_in_tree(lanes);
}

constexpr std::uint32_t kExponent = 0x7F800000U;

/// Whether an element is infinite or NaN. Without an early way out: so it is vector code.
bool has_not_finite(const float* __restrict values, std::size_t count) {
  std::uint32_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(values[i]);
    found |= static_cast<std::uint32_t>((bits & kExponent) == kExponent);
  }
  return found != 0;
}

}  // namespace

void sum_squares(std::span<const float> vector, std::span<double> sums) {
  if (sums.size() != (vector.size() + kNormBlock - 1) / kNormBlock) std::abort();
  for (std::size_t block = 0; block < sums.size(); ++block) {
    const std::size_t begin = block * kNormBlock;
    sums[block] = sum_block(vector.data() + begin, std::min(kNormBlock, vector.size() - begin));
  }
}

double add_in_tree(std::span<const double> sums) {
  if (sums.size() <= 1) return sums.empty() ? 0 : sums.front();
  const std::size_t left = std::bit_ceil(sums.size()) / 2;
  return add_in_tree(sums.first(left)) + add_in_tree(sums.subspan(left));
}

double squared_norm_of(std::span<const float> vector) {
  std::vector<double> sums((vector.size() + kNormBlock - 1) / kNormBlock);
  sum_squares(vector, sums);
  return add_in_tree(sums);
}

double norm_of(std::span<const float> vector) {
  return std::sqrt(squared_norm_of(vector));
}

float clip_factor(double norm, double limit) {
  const double factor = limit / (norm + 1e-6);
  return factor > 1 ? 1 : static_cast<float>(factor);
}

void scale(std::span<float> vector, float factor) {
  for (float& value : vector) value *= factor;
}

void clip_value(std::span<float> vector, float limit) {
  for (float& value : vector) {
    const float upper = value > limit ? limit : value;
    value = upper < -limit ? -limit : upper;
  }
}

std::optional<std::size_t> find_not_finite(std::span<const float> vector) {
  for (std::size_t begin = 0; begin < vector.size(); begin += kNormBlock) {
    const std::size_t count = std::min(kNormBlock, vector.size() - begin);
    if (!has_not_finite(vector.data() + begin, count)) continue;
    const auto block = vector.subspan(begin, count);
    const auto found = std::find_if(block.begin(), block.end(), [](float v) { return !std::isfinite(v); });
    return begin + static_cast<std::size_t>(found - block.begin());
  }
  return std::nullopt;
}

}  // namespace ds::kernels
