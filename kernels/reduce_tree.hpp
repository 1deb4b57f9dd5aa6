#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/element_type.hpp"

namespace ds::kernels {

/// One vector that goes into a tree.
struct TreeInput {
  const void* data = nullptr;
  /// It holds accumulators (`accumulator_of`) that were combined already, not elements.
  bool accumulated = false;
  /// How often, once this input was put on the stack, the two on top are combined into one. Over all inputs
  /// one less than there are inputs, and never more than there is on the stack.
  std::uint8_t combines = 0;
};

/// A reduction of several vectors along a tree, the tree being given as a stack program.
struct TreeReduction {
  ElementType type = ElementType::float32;
  ReduceOperator op = ReduceOperator::sum;
  std::span<const TreeInput> inputs;  ///< from left to right; at least one
  std::span<void* const> outputs;     ///< all get the result; one may be an input
  std::size_t elements = 0;
  /// Round to the element type and make every NaN the one of ReduceOperator; else the outputs get
  /// accumulators. A single input that is not accumulated is no result of an operator and stays as it is.
  bool finish = true;
  /// Write around the caches: for outputs larger than those.
  bool stream = false;
};

/// Deepest stack that a tree may need: enough for 2^32 leaves.
inline constexpr std::size_t kMaxTreeDepth = 34;

/// Reads each input once and writes each output once, a block that fits the innermost cache at a time.
/// Elements are independent of each other: any cut of the vectors gives the same bits. Each pointer is
/// aligned as what it points to. Pure apart from its outputs; any thread.
void reduce_tree(const TreeReduction& reduction);

}  // namespace ds::kernels
