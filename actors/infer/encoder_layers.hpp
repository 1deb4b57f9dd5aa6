#pragma once

// Private to actors/infer.

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace ds::infer {

/// Puts the steps of a transformer's encoder layer in the place of torch's one operator for all of it
/// (`aten::_transformer_encoder_layer_fwd`, which `nn.TransformerEncoderLayer` becomes when it is traced), so
/// that its linear layers can be had. Graphs that make nested tensors stay as they are: the steps need plain
/// ones. `fuses_attention`: attention is one step, where torch (2.0 and later) has it as one: much faster on
/// a GPU. Throws what torch throws.
void unfold_encoder_layers(const std::shared_ptr<torch::jit::Graph>& graph, bool fuses_attention);

}  // namespace ds::infer
