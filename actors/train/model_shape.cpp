#include "actors/train/model_shape.hpp"

#include <algorithm>
#include <cmath>

#include "actors/train/random_stream.hpp"

namespace ds::train {
namespace {

constexpr double kEmbeddingBound = 1;  // learned faster than 0.1 and 0.5 on two text sets

double bound_for(const ModelShape& shape, const std::string& name) {
  if (name == "embedding.weight") return kEmbeddingBound;
  const double inputs = name.starts_with("convolution.") ? 3.0 * shape.width : shape.width;
  return 1 / std::sqrt(inputs);
}

}  // namespace

std::vector<ParameterSlot> parameter_slots(const ModelShape& shape) {
  const auto width = std::int64_t{shape.width}, classes = std::int64_t{shape.classes};
  std::vector<ParameterSlot> slots{{"embedding.weight", {std::int64_t{shape.vocabulary}, width}},
                                   {"convolution.weight", {width, width, 3}},
                                   {"convolution.bias", {width}},
                                   {"output.weight", {classes, width}},
                                   {"output.bias", {classes}}};
  std::uint64_t offset = 0;
  for (ParameterSlot& slot : slots) {
    slot.offset = offset;
    slot.size = 1;
    for (const std::int64_t length : slot.shape) slot.size *= static_cast<std::uint64_t>(length);
    offset += slot.size;
  }
  return slots;
}

std::uint64_t parameter_count(const ModelShape& shape) {
  const ParameterSlot last = parameter_slots(shape).back();
  return last.offset + last.size;
}

void write_initial_parameters(const ModelShape& shape, std::uint64_t seed, std::span<float> out) {
  const RandomStream random(seed, Stream::initial_parameters, {});
  for (const ParameterSlot& slot : parameter_slots(shape)) {
    const double bound = bound_for(shape, slot.name);
    for (std::uint64_t i = slot.offset; i < slot.offset + slot.size; ++i) {
      out[i] = static_cast<float>((2 * random.uniform(i) - 1) * bound);
    }
  }
  std::ranges::fill(out.first(shape.width), 0.0F);  // the embedding comes first, and in it the padding word
}

void write_dropout_mask(double dropout, std::uint64_t seed, std::uint64_t step, std::uint32_t logical_rank,
                        std::uint32_t micro_batch, std::span<float> out) {
  const RandomStream random(seed, Stream::dropout, {step, logical_rank, micro_batch});
  const auto kept = static_cast<float>(1 / (1 - dropout));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = random.uniform(i) < dropout ? 0.0F : kept;
}

}  // namespace ds::train
