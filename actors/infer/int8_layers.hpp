#pragma once

// Private to actors/infer: what stands in a graph for layers whose weights are whole numbers of 8 bits.

#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/int8_weights.hpp"

namespace ds::infer {

using SharedWeights = std::shared_ptr<const kernels::Int8Weights>;

/// `aten::linear` and its like, with what follows it.
struct Int8Linear final : torch::CustomClassHolder {
  enum class Activation : std::uint8_t { none, relu, gelu };

  Activation activation = Activation::none;
  SharedWeights weights;
  std::optional<at::Tensor> bias;  ///< float, contiguous
};

/// `aten::lstm`, of padded or packed sequences.
struct Int8Lstm final : torch::CustomClassHolder {
  struct Direction {
    SharedWeights inputs, recurrent;
    std::optional<at::Tensor> inputs_bias, recurrent_bias;
  };
  std::vector<std::vector<Direction>> layers;  ///< one direction, or two
  bool is_batch_first = false;
};

/// The layer of a node that `create_linear` made; null for any other.
c10::intrusive_ptr<Int8Linear> linear_of(const torch::jit::Node& node);

/// Nodes that compute these layers, to be put into `graph`; an LSTM has three outputs, as torch's. Errors
/// while they run are torch's.
torch::jit::Node* create_linear(torch::jit::Graph& graph, c10::intrusive_ptr<Int8Linear> layer,
                                torch::jit::Value* input);
torch::jit::Node* create_lstm(torch::jit::Graph& graph, c10::intrusive_ptr<Int8Lstm> layer,
                              torch::jit::Value* input, torch::jit::Value* states);
torch::jit::Node* create_packed_lstm(torch::jit::Graph& graph, c10::intrusive_ptr<Int8Lstm> layer,
                                     torch::jit::Value* data, torch::jit::Value* sizes,
                                     torch::jit::Value* states);

}  // namespace ds::infer
