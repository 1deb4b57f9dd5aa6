#include "kernels/tree_program.hpp"

#include <cstdlib>

namespace ds::kernels {

std::optional<TreeProgram> to_program(const TreeReduction& reduction) {
  if (reduction.outputs.size() != 1) std::abort();
  if (reduction.inputs.size() > kMaxProgramInputs) return std::nullopt;
  TreeProgram program{};
  program.output = reduction.outputs[0];
  program.elements = reduction.elements;
  program.input_count = static_cast<std::uint32_t>(reduction.inputs.size());
  program.op = reduction.op;
  program.finish = reduction.finish;
  std::size_t depth = 0;
  for (std::size_t i = 0; i < reduction.inputs.size(); ++i) {
    const TreeInput& input = reduction.inputs[i];
    if (++depth > kMaxTreeDepth || input.combines >= depth) std::abort();
    depth -= input.combines;
    program.inputs[i] = input.data;
    program.steps[i] =
        static_cast<std::uint8_t>(input.combines | (input.accumulated ? TreeProgram::kAccumulated : 0));
  }
  if (depth != 1) std::abort();
  return program;
}

}  // namespace ds::kernels
