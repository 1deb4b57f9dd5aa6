#include "actors/train/step_vector.hpp"

namespace ds::train {
namespace {

constexpr std::int64_t kPart = std::int64_t{1} << 24;

}  // namespace

void StepVector::write_rest(const Share& share, std::span<float> all) const {
  float* at = all.data() + sizes_.parameters;
  const auto active = static_cast<float>(share.active);
  for (std::size_t i = 0; i < sizes_.buffers; ++i) {
    const float before = share.buffers_before[i], after = share.buffers_after[i];
    *at++ = after == before ? 0.0F : (after - before) / active;  // a constant may be infinite
  }
  for (std::size_t i = 0; i < sizes_.counters; ++i) {
    const std::int64_t moved = share.first ? share.counters_after[i] - share.counters_before[i] : 0;
    *at++ = static_cast<float>(moved / kPart);
    *at++ = static_cast<float>(moved % kPart);
  }
  *at++ = static_cast<float>(share.noise.squares);
  *at++ = static_cast<float>(share.noise.parts);
  *at++ = static_cast<float>(share.bad_records);
  *at = static_cast<float>(share.loss);
}

void StepVector::move(std::span<const float> sum, std::span<float> buffers,
                      std::span<std::int64_t> counters) const {
  const float* at = sum.data() + sizes_.parameters;
  for (float& value : buffers) value += *at++;
  for (std::int64_t& value : counters) {
    const auto high = static_cast<std::int64_t>(*at++);
    value += high * kPart + static_cast<std::int64_t>(*at++);
  }
}

}  // namespace ds::train
