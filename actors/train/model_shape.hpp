#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ds::train {

/// The sizes that fix a `text_classifier`: embedding, convolution over three words, maximum over time, linear
/// layer.
struct ModelShape {
  std::uint32_t vocabulary = 0;  ///< words, the reserved ones included
  std::uint32_t length = 0;      ///< words a row
  std::uint32_t width = 0;       ///< of the embedding, and filters of the convolution
  std::uint32_t classes = 0;
  double dropout = 0;  ///< in [0, 1), before the linear layer
  bool operator==(const ModelShape&) const = default;
};

/// Where a parameter lies in the one flat vector that holds them all.
struct ParameterSlot {
  std::string name;  ///< `layer.parameter`, as PyTorch's state_dict would call it
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0;  ///< elements
  std::uint64_t size = 0;    ///< elements
  bool operator==(const ParameterSlot&) const = default;
};

/// The parameters without gaps, in the order of the flat vector. Pure.
std::vector<ParameterSlot> parameter_slots(const ModelShape& shape);

/// Elements of the flat vector. Pure.
std::uint64_t parameter_count(const ModelShape& shape);

/// Writes the parameters that training from `seed` starts with. Depends on shape and seed alone, not on any
/// library's version: uniform numbers, with bounds as in PyTorch's layers for the convolution and the linear
/// layer; the padding word is zero.
void write_initial_parameters(const ModelShape& shape, std::uint64_t seed, std::span<float> out);

/// Writes the factors by which dropout multiplies `out.size()` features, for one micro-batch: 0, or 1 / (1 -
/// dropout). They belong to the logical rank, not to the worker that hosts it.
void write_dropout_mask(double dropout, std::uint64_t seed, std::uint64_t step, std::uint32_t logical_rank,
                        std::uint32_t micro_batch, std::span<float> out);

}  // namespace ds::train
