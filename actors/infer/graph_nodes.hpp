#pragma once

// Private to actors/infer.

#include <torch/csrc/jit/ir/ir.h>

#include <vector>

namespace ds::infer {

/// All nodes of a block and of those within it, in their order. Listed before any is changed: changing them
/// while they are gone over would skip some.
inline void list_nodes(torch::jit::Block* block, std::vector<torch::jit::Node*>& nodes) {
  for (torch::jit::Node* node : block->nodes()) {
    nodes.push_back(node);
    for (torch::jit::Block* inner : node->blocks()) list_nodes(inner, nodes);
  }
}

inline bool is_tensor(const torch::jit::Value& value) {
  return value.type()->isSubtypeOf(*c10::TensorType::get());
}

}  // namespace ds::infer
