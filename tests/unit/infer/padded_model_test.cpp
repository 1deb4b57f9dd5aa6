// Models whose inputs are padded: answers stay those of the inputs as they are, or the model is refused.
#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <span>
#include <sstream>
#include <utility>

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

serving::PaddingWish padding_to(serving::Buckets buckets) {
  return {.buckets = {std::move(buckets)}, .values = {}, .cut = {}};
}

std::string fault_of(const char* body, const serving::PaddingWish& padding) {
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

void expect_same_answers(const char* body, const serving::PaddingWish& padding) {
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

/// Of images of any size, lines first.
std::unique_ptr<ServedModel> image_model(const std::string& body, std::vector<serving::TensorSpec> outputs,
                                         std::uint32_t rows = 8) {
  ModelSource source{
      archive_of(body), "made", {{"x", serving::Datatype::fp32, {-1, -1, -1}}}, std::move(outputs)};
  auto model = ServedModel::load(std::move(source), {.name = "made", .max_batch_size = rows});
  if (!model) ADD_FAILURE() << model.error().message;
  return model ? *std::move(model) : nullptr;
}

std::string image_fault(const std::string& body, const serving::PaddingWish& padding) {
  const auto model =
      image_model(body, {{"sum", serving::Datatype::fp32, {}}, {"turned", serving::Datatype::fp32, {}}});
  const auto used = replica::use_padding(*model, padding);
  return used ? "none" : used.error().message;
}

const char* const kTurned = "return x.sum([1, 2]).unsqueeze(1), x.transpose(1, 2) * 2";

TEST(PaddedModels, TakeImagesOfUnlikeSizesInOneBatch) {
  const std::vector<serving::TensorSpec> names{{"sum", serving::Datatype::fp32, {}},
                                               {"turned", serving::Datatype::fp32, {}}};
  const auto plain = image_model(kTurned, names), padded = image_model(kTurned, names);
  const serving::PaddingWish wish{.buckets = {{4, 6}, {4, 6}}, .values = {}, .cut = {"turned"}};
  const auto used = replica::use_padding(*padded, wish);
  ASSERT_TRUE(used) << used.error().message;
  EXPECT_EQ(padded->padding()->outputs.front(), (serving::Padding::Output{1, {1, 2}, {1, 0}}));
  const auto specs = cut_specs(*padded->padding(), padded->metadata().outputs);
  EXPECT_EQ(specs.at(1).shape, (std::vector<std::int64_t>{-1, -1, -1}));
  std::vector<Tensors> requests;
  for (const auto& [height, width] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{2, 3}, {3, 2}, {4, 4}})
    requests.push_back({floats("x", random_tensor({1, height, width}, 7))});
  const auto together = replica::run_batch(*padded, requests);
  EXPECT_FALSE(together.was_split);
  EXPECT_EQ(together.elements, (serving::PaddedElements{28, 20}));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto alone = replica::run_batch(*plain, {requests[i]});
    ASSERT_TRUE(together.answers[i] && alone.answers[0]);
    for (std::size_t k = 0; k < 2; ++k) expect_near(together.answers[i]->at(k), alone.answers[0]->at(k));
  }
}

TEST(PaddedModels, OfSeveralSizesAreRefusedWhereOneOfThemMattersOrCanNotBeCut) {
  const serving::PaddingWish wish{.buckets = {{4}, {4}}, .values = {}, .cut = {"turned"}};
  EXPECT_EQ(image_fault(kTurned, wish), "none");
  const auto by_width = image_fault("return x.sum(1).mean(1, True), x.transpose(1, 2) * 2", wish);
  EXPECT_NE(by_width.find("output sum differs by"), std::string::npos) << by_width;
  EXPECT_NE(by_width.find("at lengths 1 x 1 padded to 4 x 4"), std::string::npos) << by_width;
  const auto flat = image_fault("return x.sum([1, 2]).unsqueeze(1), x.flatten(1)", wish);
  EXPECT_NE(flat.find("output turned is not as long as the inputs: its shape is [1,1], and [1,16]"),
            std::string::npos)
      << flat;
  const auto square = image_fault("return x.sum([1, 2]).unsqueeze(1), x + x.transpose(1, 2)", wish);
  EXPECT_NE(square.find("which length its dimension 1 is can't be told"), std::string::npos) << square;
}

TEST(PaddedModels, AreRefusedWhereAFullBatchWouldBeTooLargeOrTryingTakesTooLong) {
  const auto model = image_model("return x.sum([1, 2]).unsqueeze(1)", {}, 32);
  const auto fault = [&](std::vector<serving::Buckets> buckets) {
    const serving::PaddingWish wish{.buckets = std::move(buckets), .values = {}, .cut = {}};
    const auto used = replica::use_padding(*model, wish, std::chrono::milliseconds(0));
    return used ? "none" : used.error().message;
  };
  const auto large = fault({{1, 1 << 12}, {(1 << 11) + 1}});
  EXPECT_NE(large.find("buckets: a row in the largest has 33570816 bytes of inputs, and a batch has up to 32 "
                       "rows (max_size)"),
            std::string::npos)
      << large;
  const auto slow = fault({{1, 1 << 12}, {(1 << 10), (1 << 11)}});  // just as large as may be
  EXPECT_NE(slow.find("longer than 0 s: 0 of 4 shapes were tried"), std::string::npos) << slow;
  EXPECT_FALSE(model->padding());
}

TEST(PaddedModels, TellHowManyShapesWereTriedInTime) {
  // Each run takes a while.
  const auto model = image_model(
      "y = x.sum([1, 2]).unsqueeze(1)\n"
      "    w = torch.ones([64, 64])\n"
      "    for i in range(2000):\n        w = torch.matmul(w, w) / 64\n    return y + w.sum() * 0",
      {});
  serving::Buckets many(32);
  std::iota(many.begin(), many.end(), 1);
  const serving::PaddingWish wish{.buckets = {many, {1, 3}}, .values = {}, .cut = {}};
  const auto used = replica::use_padding(*model, wish, std::chrono::milliseconds(20));
  ASSERT_FALSE(used);
  EXPECT_NE(used.error().message.find(" of 64 shapes were tried"), std::string::npos) << used.error().message;
  EXPECT_EQ(used.error().message.find(" 64 of 64"), std::string::npos) << used.error().message;
}

/// Of texts that had 8 tokens in training.
std::unique_ptr<ServedModel> text_model() {
  torch::jit::Module module("Made");
  module.register_attribute("training", c10::BoolType::get(), false);
  module.register_parameter("table", random_tensor({6, 4}, 5), false);
  module.define(
      "def forward(self, x):\n"
      "    rows = torch.embedding(self.table, x) * torch.ne(x, 0).unsqueeze(2)\n"
      "    return torch.sum(rows, [1])\n");
  const torch::jit::ExtraFilesMap files{
      {"preprocessing.json",
       R"({"fields": [{"name": "text", "element": "int64", "shape": [8]}], "length": 8})"},
      {"vocabulary.json", R"(["<pad>", "<unknown>", "a", "b", "c", "d"])"}};
  std::ostringstream archive;
  module.save(archive, files);
  auto model = ServedModel::load({archive.str(), "made", {}, kOutput}, {.name = "made", .max_batch_size = 8});
  if (!model) ADD_FAILURE() << model.error().message;
  return model ? *std::move(model) : nullptr;
}

TEST(PaddedModels, OfTextsAreTriedNoLongerThanOthers) {
  const auto model = text_model();
  ASSERT_TRUE(model && model->takes_texts());
  const auto late = replica::use_padding(*model, padding_to({2, 4, 16}), std::chrono::milliseconds(0));
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().message.find("longer than 0 s: 0 of 2 were tried"), std::string::npos)
      << late.error().message;
  EXPECT_FALSE(model->padding());
  const auto used = replica::use_padding(*model, padding_to({2, 4, 16}));
  ASSERT_TRUE(used) << used.error().message;
  EXPECT_EQ(model->padding()->buckets, (std::vector<serving::Buckets>{{2, 4, 8}}));
}

/// As on a GPU: a number that the model has no place for is its last.
class FragileModel final : public ServedModel {
 public:
  FragileModel(std::unique_ptr<ServedModel> model, std::int64_t places)
      : model_(std::move(model)), places_(places) {}

  const serving::ModelMetadata& metadata() const override { return model_->metadata(); }
  const Int8Sizes& int8_sizes() const override { return model_->int8_sizes(); }
  Result<std::vector<Tensors>> run(std::span<const Tensors* const> requests) override {
    if (has_lost_) ++runs_since_;
    for (const auto* request : requests) {
      for (const auto token : tokens_of(request->front())) has_lost_ |= token >= places_;
    }
    if (has_lost_) return fail(ErrorCode::unavailable, "device-side assert");
    return model_->run(requests);
  }
  bool is_on_gpu() const override { return true; }
  bool has_lost_device() const override { return has_lost_; }
  bool takes_texts() const override { return false; }
  Result<void> use_text_buckets(std::span<const std::int64_t>, double, std::chrono::milliseconds) override {
    return {};
  }
  serving::PaddedElements text_elements() const override { return {}; }
  int runs_since() const { return runs_since_; }

 private:
  static std::vector<std::int64_t> tokens_of(const serving::Tensor& tensor) {
    std::vector<std::int64_t> tokens(tensor.bytes.size() / sizeof(std::int64_t));
    if (!tokens.empty()) std::memcpy(tokens.data(), tensor.bytes.bytes().data(), tensor.bytes.size());
    return tokens;
  }

  std::unique_ptr<ServedModel> model_;
  const std::int64_t places_;
  bool has_lost_ = false;
  int runs_since_ = 0;
};

TEST(PaddedModels, AreTriedWithSmallNumbersWhereALargeOneLosesTheGpu) {
  FragileModel takes_few(model_of(kMasked, kOutput), 2);
  const auto used = replica::use_padding(takes_few, padding_to({2, 4}));
  EXPECT_TRUE(used) << used.error().message;
  EXPECT_FALSE(takes_few.has_lost_device());
  FragileModel takes_none(model_of(kMasked, kOutput), 1);
  const auto lost = replica::use_padding(takes_none, padding_to({2, 4}));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::unavailable) << lost.error().message;
  EXPECT_NE(lost.error().message.find("device-side assert"), std::string::npos) << lost.error().message;
  EXPECT_EQ(takes_none.runs_since(), 0) << "it was tried again on a lost GPU";
}

TEST(PaddedModels, AnswerRequestsOneByOneThatOnlyAHashTakesForAlike) {
  const auto model = image_model("return x.sum([1, 2]).unsqueeze(1)", {});
  const auto of_shape = [](std::vector<std::int64_t> shape, serving::Datatype type) {
    const auto count = static_cast<std::size_t>(serving::count_elements(shape).value());
    const std::vector<float> ones(count, 1.0F);
    return Tensors{{"x", type, std::move(shape), Buffer::copy_of(std::as_bytes(std::span(ones)))}};
  };
  using enum serving::Datatype;
  const auto plain = of_shape({1, 1, 1}, fp32), crafted = of_shape({1, 5741759363514277258, 0}, fp32);
  const auto key_of = [](const Tensors& request) {
    const std::span<const std::int64_t> shape = request.front().shape;
    return serving::shape_key(std::span(&shape, 1), nullptr);
  };
  ASSERT_EQ(key_of(plain), key_of(crafted)) << "no test of this any more";
  auto cut_off = of_shape({1, 1, 1}, fp32);
  cut_off.front().bytes = {};
  for (const auto& other : {crafted, of_shape({1, 2, 3}, fp32), of_shape({1, 1, 1}, int32), cut_off}) {
    for (const std::size_t place : {0, 1}) {  // of the plain one
      std::vector<Tensors> requests(2, other);
      requests[place] = plain;
      const auto outcome = replica::run_batch(*model, requests);
      EXPECT_TRUE(outcome.was_split) << "they shared a batch";
      const auto& answer = outcome.answers.at(place);
      ASSERT_TRUE(answer) << answer.error().message;
      EXPECT_EQ(numbers(answer->at(0)), std::vector<float>{1});
    }
  }
  EXPECT_FALSE(replica::run_batch(*model, {cut_off}).answers.at(0)) << "its elements are elsewhere";
  EXPECT_FALSE(replica::run_batch(*model, {plain, plain}).was_split);
}

}  // namespace
}  // namespace ds::infer
