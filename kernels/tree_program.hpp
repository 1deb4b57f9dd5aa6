#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "kernels/combine.hpp"
#include "kernels/element_type.hpp"
#include "kernels/half_bits.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::kernels {

/// Most inputs of a TreeProgram.
inline constexpr std::size_t kMaxProgramInputs = 384;

/// A `TreeReduction` of one output as a value without pointers into the caller's memory but those to vectors:
/// what a GPU kernel gets as its argument. `inputs` and `steps` beyond `input_count` mean nothing.
struct TreeProgram {
  const void* inputs[kMaxProgramInputs];
  std::uint8_t steps[kMaxProgramInputs];  ///< how often to combine; kAccumulated
  void* output;
  std::size_t elements;
  std::uint32_t input_count;
  ReduceOperator op;
  bool finish;

  static constexpr std::uint8_t kAccumulated = 0x80;
  constexpr bool accumulated(std::size_t input) const { return (steps[input] & kAccumulated) != 0; }
  constexpr unsigned combines(std::size_t input) const { return steps[input] & (kAccumulated - 1U); }
};
static_assert(sizeof(TreeProgram) <= 4096, "what a kernel's arguments may take on every GPU");

/// Nothing when there are more inputs than fit. Ends the process, as `reduce_tree` does, when the inputs make
/// no tree; there is exactly one output. `stream` has no meaning here. Pure.
std::optional<TreeProgram> to_program(const TreeReduction& reduction);

template <class T>
constexpr T combine(ReduceOperator op, T a, T b) {
  switch (op) {
    case ReduceOperator::sum:
      return combine<ReduceOperator::sum>(a, b);
    case ReduceOperator::product:
      return combine<ReduceOperator::product>(a, b);
    case ReduceOperator::minimum:
      return combine<ReduceOperator::minimum>(a, b);
    default:
      return combine<ReduceOperator::maximum>(a, b);
  }
}

template <class Element, class Accumulator>
constexpr Accumulator load_accumulator(const TreeProgram& program, std::size_t input, std::size_t at) {
  if constexpr (!std::is_same_v<Element, Accumulator>) {
    if (!program.accumulated(input)) return to_float(static_cast<const Element*>(program.inputs[input])[at]);
  }
  return static_cast<const Accumulator*>(program.inputs[input])[at];
}

template <class Element, class Accumulator>
constexpr Element to_element(Accumulator value) {
  if constexpr (std::is_same_v<Element, BFloat16>) return {to_bfloat16_bits(value)};
  if constexpr (std::is_same_v<Element, Float16>) return {to_float16_bits(value)};
  if constexpr (std::is_same_v<Element, Accumulator>) return value;
}

/// Element `at` of the output: what one thread of the GPU kernel does, and the same bits as `reduce_tree`,
/// but for the payloads of NaNs in outputs that are not finished. Reads element `at` of each input once,
/// before it writes.
template <class Element, class Accumulator>
constexpr void evaluate_element(const TreeProgram& program, std::size_t at) {
  if (program.input_count == 1 && program.finish && !program.accumulated(0)) {
    static_cast<Element*>(program.output)[at] = static_cast<const Element*>(program.inputs[0])[at];
    return;
  }
  Accumulator below[kMaxTreeDepth];  // the stack but for its top
  std::size_t depth = 0;
  Accumulator top = load_accumulator<Element, Accumulator>(program, 0, at);
  for (std::size_t input = 1; input < program.input_count; ++input) {
    below[depth++] = top;
    top = load_accumulator<Element, Accumulator>(program, input, at);
    for (unsigned left = program.combines(input); left > 0; --left)
      top = combine(program.op, below[--depth], top);
  }
  if (program.finish) {
    static_cast<Element*>(program.output)[at] = to_element<Element>(canonical(top));
  } else {
    static_cast<Accumulator*>(program.output)[at] = top;
  }
}

}  // namespace ds::kernels
