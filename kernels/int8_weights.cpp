#include "kernels/int8_weights.hpp"

#include <algorithm>
#include <cmath>

namespace ds::kernels {
namespace {

constexpr float kLargest = 127;
/// A smaller scale has no reciprocal.
constexpr float kLeastMagnitude = 1e-30F;

std::size_t place_of(std::size_t output, std::size_t input, std::size_t padded) {
  return (output / kInt8Panel * padded + input / 4 * 4) * kInt8Panel + output % kInt8Panel * 4 + input % 4;
}

}  // namespace

std::optional<Int8Weights> Int8Weights::pack(std::span<const float> weights, std::size_t outputs,
                                             std::size_t inputs, bool transposed) {
  if (outputs == 0 || inputs == 0 || inputs > kMostInt8Inputs || weights.size() / inputs != outputs ||
      weights.size() % inputs != 0)
    return std::nullopt;
  if (!std::ranges::all_of(weights, [](float weight) { return std::isfinite(weight); })) return std::nullopt;
  Int8Weights packed;
  packed.outputs_ = outputs;
  packed.inputs_ = inputs;
  const std::size_t padded = packed.padded_inputs();
  packed.values_.assign(packed.panels() * kInt8Panel * padded, 0);
  packed.scales_.assign(packed.panels() * kInt8Panel, 0);
  packed.sums_.assign(packed.panels() * kInt8Panel, 0);
  const std::size_t output_step = transposed ? 1 : inputs, input_step = transposed ? outputs : 1;
  for (std::size_t output = 0; output < outputs; ++output) {
    const float* own = weights.data() + output * output_step;
    float largest = 0;
    for (std::size_t i = 0; i < inputs; ++i) largest = std::max(largest, std::fabs(own[i * input_step]));
    if (largest < kLeastMagnitude) continue;  // all of it counts as zero
    const float scale = largest / kLargest;
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < inputs; ++i) {
      const float whole = std::clamp(std::nearbyint(own[i * input_step] / scale), -kLargest, kLargest);
      packed.values_[place_of(output, i, padded)] = static_cast<std::int8_t>(whole);
      sum += static_cast<std::int32_t>(whole);
    }
    packed.scales_[output] = scale;
    packed.sums_[output] = sum;
  }
  return packed;
}

std::size_t Int8Weights::bytes() const {
  return values_.size() + scales_.size() * sizeof(float) + sums_.size() * sizeof(std::int32_t);
}

std::int8_t Int8Weights::at(std::size_t output, std::size_t input) const {
  return values_[place_of(output, input, padded_inputs())];
}

}  // namespace ds::kernels
