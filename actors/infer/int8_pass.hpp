#pragma once

// Private to actors/infer.

#include <torch/csrc/jit/api/module.h>

#include <cstdint>

#include "storage/result.hpp"

namespace ds::infer {

/// A model with whole numbers of 8 bits for the weights of its linear and LSTM layers.
struct Int8Module {
  torch::jit::Module module;
  std::uint32_t linear_layers = 0, lstm_layers = 0;
  std::uint64_t bytes_before = 0, bytes_after = 0;  ///< of all its tensors
};

/// Freezes the module, which must be in evaluation mode, and puts such layers in the place of those whose
/// weights are constant, float and worth it (`kLeastInt8Weights`). The given one stays as it is. Its
/// operators have been checked before. Errors: `invalid_argument` when it can't be frozen, or has nothing to
/// quantize.
Result<Int8Module> to_int8(const torch::jit::Module& module);

/// Layers with fewer weights stay as they are: quantizing what goes in would cost more than it saves.
inline constexpr std::int64_t kLeastInt8Weights = 1024;
/// The same of a layer's inputs.
inline constexpr std::int64_t kLeastInt8Inputs = 16;

}  // namespace ds::infer
