// Models whose inputs are padded: answers stay those of the inputs as they are, or the model is refused.
#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include <gtest/gtest.h>

#include "actors/replica/model_runner.hpp"
#include "actors/replica/padding_trial.hpp"
#include "tests/unit/infer/script_models.hpp"

namespace ds::infer {
namespace {

using Tensors = ServedModel::Tensors;

const std::vector<serving::TensorSpec> kOutput{{"y", serving::Datatype::fp32, {}}};

/// Of tokens that stand in a table of 10, and 0 behind their end.
std::unique_ptr<ServedModel> model_of(const std::string& body,
                                      std::vector<serving::TensorSpec> outputs = {}) {
  const auto archive =
      archive_of(body, {{"table", random_tensor({10, 4}, 5)}, {"weight", random_tensor({3, 4}, 6)}});
  ModelSource source{archive, "made", {{"x", serving::Datatype::int64, {-1, -1}}}, std::move(outputs)};
  auto model = ServedModel::load(std::move(source), {.name = "made", .max_batch_size = 8});
  if (!model) ADD_FAILURE() << model.error().message;
  return model ? *std::move(model) : nullptr;
}

const char* const kMasked =
    "rows = torch.embedding(self.table, x) * torch.ne(x, 0).unsqueeze(2)\n"
    "    return torch.linear(torch.sum(rows, [1]) / torch.sum(torch.ne(x, 0), [1], True), self.weight)";
const char* const kMean = "return torch.linear(torch.mean(torch.embedding(self.table, x), [1]), self.weight)";
/// A score for each token.
const char* const kEach = "return torch.linear(torch.embedding(self.table, x), self.weight)";

Tensors request_of(std::vector<std::int64_t> tokens) {
  const auto length = static_cast<std::int64_t>(tokens.size());
  return {{"x", serving::Datatype::int64, {1, length}, Buffer::copy_of(std::as_bytes(std::span(tokens)))}};
}

scheduler::PaddingSpec padding_to(std::vector<std::uint64_t> buckets) {
  scheduler::PaddingSpec padding;
  padding.buckets = std::move(buckets);
  return padding;
}

std::string fault_of(const char* body, const scheduler::PaddingSpec& padding) {
  const auto model = model_of(body, kOutput);
  const auto used = replica::use_padding(*model, padding);
  EXPECT_FALSE(model->padding().has_value() && !used) << "it would be padded all the same";
  return used ? "none" : used.error().message;
}

void expect_near(const serving::Tensor& got, const serving::Tensor& expected) {
  ASSERT_EQ(got.shape, expected.shape);
  const auto want = numbers(expected), have = numbers(got);
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(have[i], want[i], 1e-5) << i;
}

void expect_same_answers(const char* body, const scheduler::PaddingSpec& padding) {
  const auto plain = model_of(body, kOutput), padded = model_of(body, kOutput);
  const auto used = replica::use_padding(*padded, padding);
  ASSERT_TRUE(used) << used.error().message;
  const std::vector<Tensors> requests{request_of({1, 2, 3}), request_of({9}), request_of({4, 5, 6, 7})};
  const auto together = replica::run_batch(*padded, requests);
  ASSERT_EQ(together.answers.size(), 3U);
  EXPECT_FALSE(together.was_split) << "they did not run as one batch";
  EXPECT_EQ(together.elements, (serving::PaddedElements{8, 4}));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto alone = replica::run_batch(*plain, {requests[i]});
    ASSERT_TRUE(together.answers[i] && alone.answers[0]);
    expect_near(together.answers[i]->at(0), alone.answers[0]->at(0));
    EXPECT_EQ(alone.elements, serving::PaddedElements{});
  }
}

TEST(PaddedModels, AnswerRequestsOfUnlikeLengthsInOneBatchAsTheyDoOneByOne) {
  expect_same_answers(kMasked, padding_to({4, 8}));
  auto cut = padding_to({4, 8});
  cut.cut = {"y"};
  expect_same_answers(kEach, cut);
}

TEST(PaddedModels, AreRefusedWhenPaddingChangesTheirAnswers) {
  EXPECT_EQ(fault_of(kMasked, padding_to({4, 8})), "none");
  const auto changed = fault_of(kMean, padding_to({4, 8}));
  EXPECT_NE(changed.find("the model's answers change when its inputs are padded: output y differs by"),
            std::string::npos)
      << changed;
  EXPECT_NE(changed.find("at length 1 padded to 4, and batching.padding.tolerance is 0.0001"),
            std::string::npos)
      << changed;
  EXPECT_EQ(fault_of(kMean, padding_to({1, 2, 3})), "none") << "nothing is ever padded to these";
  // A wrong pad value is one more way to be wrong.
  auto other = padding_to({4});
  other.value = 3;
  EXPECT_NE(fault_of(kMasked, other).find("answers change"), std::string::npos);
}

TEST(PaddedModels, AreRefusedWhenTheyCannotBeTriedOrCut) {
  EXPECT_NE(fault_of(kEach, padding_to({4})).find("output y has the shape [1,1,3], and [1,4,3]"),
            std::string::npos)
      << fault_of(kEach, padding_to({4}));
  auto cut = padding_to({4});
  cut.cut = {"y"};
  EXPECT_NE(fault_of(kMasked, cut).find("output y is not as long as the inputs"), std::string::npos);
  cut.cut = {"z"};
  EXPECT_NE(fault_of(kMasked, cut).find("no output z"), std::string::npos);
  EXPECT_NE(
      fault_of("return torch.embedding(self.table, x + 9).sum([1])", padding_to({4})).find("fails on random"),
      std::string::npos);
}

}  // namespace
}  // namespace ds::infer
