#include "actors/train/step_vector.hpp"

namespace ds::train {
namespace {

constexpr unsigned kHalf = 24;

}  // namespace

void StepVector::write_rest(std::span<const float> before, std::span<const float> after, std::uint32_t active,
                            const std::int64_t* counters, double loss, std::span<float> all) const {
  float* at = all.data() + sizes_.parameters;
  const auto share = static_cast<float>(active);
  for (std::size_t i = 0; i < sizes_.buffers; ++i)
    *at++ = after[i] == before[i] ? 0.0F : (after[i] - before[i]) / share;  // a constant may be infinite
  for (std::size_t i = 0; i < sizes_.counters; ++i) {
    const std::int64_t value = counters == nullptr ? 0 : counters[i];
    *at++ = static_cast<float>(value >> kHalf);
    *at++ = static_cast<float>(value & ((std::int64_t{1} << kHalf) - 1));
  }
  *at = static_cast<float>(loss);
}

void StepVector::move(std::span<const float> sum, std::span<float> buffers,
                      std::span<std::int64_t> counters) const {
  const float* at = sum.data() + sizes_.parameters;
  for (float& value : buffers) value += *at++;
  for (std::int64_t& value : counters) {
    const auto high = static_cast<std::int64_t>(*at++);
    value = high * (std::int64_t{1} << kHalf) + static_cast<std::int64_t>(*at++);
  }
}

}  // namespace ds::train
