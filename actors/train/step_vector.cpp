#include "actors/train/step_vector.hpp"

#include <algorithm>

namespace ds::train {
namespace {

constexpr unsigned kHalf = 24;

}  // namespace

void StepVector::contribute(std::span<const float> gradients, std::span<const float> before,
                            std::span<const float> after, std::uint32_t active, const std::int64_t* counters,
                            double loss, std::span<float> out) const {
  auto at = std::ranges::copy(gradients, out.begin()).out;
  const auto share = static_cast<float>(active);
  for (std::size_t i = 0; i < sizes_.buffers; ++i) *at++ = (after[i] - before[i]) / share;
  for (std::size_t i = 0; i < sizes_.counters; ++i) {
    const std::int64_t value = counters == nullptr ? 0 : counters[i];
    *at++ = static_cast<float>(value >> kHalf);
    *at++ = static_cast<float>(value & ((std::int64_t{1} << kHalf) - 1));
  }
  *at = static_cast<float>(loss);
}

void StepVector::move(std::span<float> buffers, std::span<std::int64_t> counters) const {
  const float* at = sum_.data() + sizes_.parameters;
  for (float& value : buffers) value += *at++;
  for (std::int64_t& value : counters) {
    const auto high = static_cast<std::int64_t>(*at++);
    value = high * (std::int64_t{1} << kHalf) + static_cast<std::int64_t>(*at++);
  }
}

}  // namespace ds::train
