#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <vector>

#include "kernels/reduce_tree.hpp"

namespace ds::kernels {

/// A reduction of random bits: every kind of float among them.
struct TreeCase {
  ElementType type = ElementType::float32;
  ReduceOperator op = ReduceOperator::sum;
  std::size_t inputs = 1;
  std::size_t elements = 0;
  bool accumulated = false;  ///< the first input holds accumulators
  bool finish = true;
};

inline std::vector<std::byte> random_vector(ElementType type, std::size_t elements,
                                            std::mt19937_64& generator) {
  std::vector<std::byte> bytes(elements * size_of(type));
  for (std::size_t i = 0; i < elements; ++i) {
    std::uint64_t bits = generator();
    // All exponent bits set or none in every fourth: NaNs, infinities, subnormals and zeros.
    const unsigned exponent = type == ElementType::float64 ? 11 : type == ElementType::float16 ? 5 : 8;
    const std::size_t width = size_of(type) * 8;
    const std::uint64_t mask = ((std::uint64_t{1} << exponent) - 1) << (width - 1 - exponent);
    const unsigned kind = generator() % 8;
    if (kind == 0) bits |= mask;
    if (kind == 1) bits &= ~mask;
    if (kind <= 1 && generator() % 2 == 0) bits &= mask | std::uint64_t{1} << (width - 1);
    std::memcpy(&bytes[i * size_of(type)], &bits, size_of(type));
  }
  return bytes;
}

/// The stack program of the fixed tree over that many inputs.
inline std::vector<std::uint8_t> tree_combines(std::size_t inputs) {
  std::vector<std::uint8_t> counts(inputs);
  std::size_t open = 0;
  for (std::size_t i = 0; i < inputs; ++i) {
    counts[i] = static_cast<std::uint8_t>(i + 1 < inputs ? std::countr_one(i) : open);
    open += 1 - std::size_t{counts[i]};
  }
  return counts;
}

/// The inputs of a case, and memory for its output.
struct TreeCaseVectors {
  explicit TreeCaseVectors(const TreeCase& tree) : combines(tree_combines(tree.inputs)) {
    std::mt19937_64 generator(tree.inputs * 1009 + tree.elements);
    for (std::size_t i = 0; i < tree.inputs; ++i) {
      const bool wide = tree.accumulated && i == 0;
      inputs.push_back(random_vector(wide ? accumulator_of(tree.type) : tree.type, tree.elements, generator));
    }
    output.resize(tree.elements * size_of(tree.finish ? tree.type : accumulator_of(tree.type)));
  }
  std::vector<std::uint8_t> combines;
  std::vector<std::vector<std::byte>> inputs;
  std::vector<std::byte> output;
};

inline std::vector<std::byte> reduce_on_cpu(const TreeCase& tree) {
  TreeCaseVectors vectors(tree);
  std::vector<TreeInput> inputs;
  for (std::size_t i = 0; i < tree.inputs; ++i)
    inputs.push_back({vectors.inputs[i].data(), tree.accumulated && i == 0, vectors.combines[i]});
  void* const outputs[] = {vectors.output.data()};
  reduce_tree({tree.type, tree.op, inputs, outputs, tree.elements, tree.finish, false});
  return vectors.output;
}

/// Visits every type and operator with even and odd sizes and numbers of inputs.
inline void for_each_tree_case(const std::function<void(const TreeCase&)>& visit) {
  for (std::size_t type = 0; type < kElementTypes; ++type) {
    for (std::size_t op = 0; op < kReduceOperators; ++op) {
      for (const std::size_t inputs : {1, 2, 3, 5, 8, 13, 384}) {
        for (const std::size_t elements : {0, 1, 3, 257, 1021}) {
          TreeCase tree{static_cast<ElementType>(type), static_cast<ReduceOperator>(op), inputs, elements};
          visit(tree);
          tree.accumulated = true;
          visit(tree);
        }
      }
    }
  }
}

}  // namespace ds::kernels
