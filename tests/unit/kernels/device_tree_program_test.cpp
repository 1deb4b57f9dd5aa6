#include <gtest/gtest.h>

#include "kernels/tree_program.hpp"
#include "tests/unit/kernels/device_tree_cases.hpp"

namespace ds::kernels {
namespace {

template <class Element, class Accumulator>
void evaluate_all(const TreeProgram& program) {
  for (std::size_t at = 0; at < program.elements; ++at) evaluate_element<Element, Accumulator>(program, at);
}

/// What the GPU does, done by this processor.
std::vector<std::byte> evaluate_by_element(const TreeCase& tree) {
  TreeCaseVectors vectors(tree);
  std::vector<TreeInput> inputs;
  for (std::size_t i = 0; i < tree.inputs; ++i)
    inputs.push_back({vectors.inputs[i].data(), tree.accumulated && i == 0, vectors.combines[i]});
  void* const outputs[] = {vectors.output.data()};
  const auto program = to_program({tree.type, tree.op, inputs, outputs, tree.elements, tree.finish, false});
  if (!program) return {};
  switch (tree.type) {
    case ElementType::float32:
      evaluate_all<float, float>(*program);
      break;
    case ElementType::float64:
      evaluate_all<double, double>(*program);
      break;
    case ElementType::bfloat16:
      evaluate_all<BFloat16, float>(*program);
      break;
    case ElementType::float16:
      evaluate_all<Float16, float>(*program);
      break;
    case ElementType::int32:
      evaluate_all<std::int32_t, std::int32_t>(*program);
      break;
    case ElementType::int64:
      evaluate_all<std::int64_t, std::int64_t>(*program);
      break;
  }
  return vectors.output;
}

TEST(TreeProgram, GivesTheBitsOfTheVectorLoopsAnElementAtATime) {
  for_each_tree_case([](const TreeCase& tree) {
    ASSERT_EQ(evaluate_by_element(tree), reduce_on_cpu(tree))
        << name_of(tree.type) << ' ' << name_of(tree.op) << ", " << tree.inputs << " inputs of "
        << tree.elements << (tree.accumulated ? ", the first accumulated" : "");
  });
}

TEST(TreeProgram, LeavesAccumulatorsWhenItDoesNotFinish) {
  for (const ElementType type : {ElementType::bfloat16, ElementType::float16, ElementType::float32}) {
    // Of one vector nothing is combined, so that even NaNs keep their bits.
    const TreeCase tree{type, ReduceOperator::sum, 1, 4099, false, false};
    EXPECT_EQ(evaluate_by_element(tree), reduce_on_cpu(tree)) << name_of(type);
  }
}

TEST(TreeProgram, HoldsAsManyInputsAsItSaysAndNoMore) {
  const float value = 1;
  float sum = 0;
  void* const outputs[] = {&sum};
  std::vector<TreeInput> inputs(kMaxProgramInputs + 1, {&value, false, 1});
  inputs[0].combines = 0;
  const auto of_first = [&](std::size_t count) {
    return to_program(
        {ElementType::float32, ReduceOperator::sum, std::span(inputs).first(count), outputs, 1});
  };
  const auto program = of_first(kMaxProgramInputs);
  ASSERT_TRUE(program);
  evaluate_element<float, float>(*program, 0);
  EXPECT_EQ(sum, static_cast<float>(kMaxProgramInputs));
  EXPECT_FALSE(of_first(kMaxProgramInputs + 1));
}

TEST(TreeProgramDeathTest, EndsTheProcessOnInputsThatMakeNoTree) {
  const float value = 1;
  float sum = 0;
  void* const outputs[] = {&sum};
  const TreeInput too_many[] = {{&value, false, 1}}, too_few[] = {{&value, false, 0}, {&value, false, 0}};
  EXPECT_DEATH(to_program({ElementType::float32, ReduceOperator::sum, too_many, outputs, 1}), "");
  EXPECT_DEATH(to_program({ElementType::float32, ReduceOperator::sum, too_few, outputs, 1}), "");
}

}  // namespace
}  // namespace ds::kernels
