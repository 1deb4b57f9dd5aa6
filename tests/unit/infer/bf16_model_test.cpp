// Models that compute in BF16: close to fp32, with the same tensors at their door; or refused at their start.
#include "tests/unit/infer/script_models.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include "actors/replica/model_runner.hpp"
#include "actors/replica/padding_trial.hpp"

namespace ds::infer {
namespace {

using serving::Datatype;
using Shape = std::vector<std::int64_t>;
using Parameters = std::vector<std::pair<std::string, at::Tensor>>;

struct Case {
  const char* name;
  std::string archive;
  Shape shape;
  Datatype datatype = Datatype::fp32;
};

Result<std::unique_ptr<ServedModel>> load(const Case& one, bool bf16, bool int8 = false) {
  ModelSource source{one.archive, "made", {{"x", one.datatype, one.shape}}, {}};
  ModelOptions options;
  options.name = "made";
  options.max_batch_size = 8;
  options.bf16 = bf16;
  options.int8 = int8;
  return ServedModel::load(std::move(source), options);
}

std::vector<serving::Tensor> run(ServedModel& model, const at::Tensor& x) {
  ServedModel::Tensors request{floats("x", x)};
  request.front().datatype = model.metadata().inputs.front().datatype;
  const auto* const one = &request;
  auto answers = model.run(std::span(&one, 1));
  if (!answers) ADD_FAILURE() << answers.error().message;
  return answers ? answers->front() : std::vector<serving::Tensor>();
}

std::vector<double> numbers_of(const serving::Tensor& tensor) {
  if (tensor.datatype == Datatype::fp32) {
    const auto values = numbers(tensor);
    return {values.begin(), values.end()};
  }
  EXPECT_EQ(tensor.datatype, Datatype::fp64);
  std::vector<double> values(tensor.bytes.size() / sizeof(double));
  std::memcpy(values.data(), tensor.bytes.bytes().data(), values.size() * sizeof(double));
  return values;
}

double relative_error(const std::vector<double>& before, const std::vector<double>& after) {
  double wrong = 0, all = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    wrong += std::pow(before[i] - after[i], 2);
    all += std::pow(before[i], 2);
  }
  return std::sqrt(wrong / all);
}

at::Tensor weights(Shape shape, std::uint64_t seed) {
  return random_tensor(std::move(shape), seed, 0.2);
}

std::vector<Case> cases() {
  const Parameters layer{{"w", weights({24, 24}, 1)}, {"b", weights({24}, 2)}};
  const Parameters lstm{{"wi", weights({96, 20}, 3)},
                        {"wh", weights({96, 24}, 4)},
                        {"bi", weights({96}, 5)},
                        {"bh", weights({96}, 6)}};
  const std::string run_lstm =
      "    y, h, c = torch.lstm(x, [zero, zero], [self.wi, self.wh, self.bi, self.bh], True, 1, 0.0, "
      "self.training, False, True)\n    return y, h.transpose(0, 1)";
  const auto encoder = encoder_tensors();
  return {
      {"linear layers", layers_archive(), {-1, 32}},
      {"a convolution and a norm",
       archive_of("y = torch.conv1d(x, self.w, self.b, [1], [1])\n"
                  "    return torch.layer_norm(torch.relu(y), [7], None, None)",
                  {{"w", weights({6, 4, 3}, 7)}, {"b", weights({6}, 8)}}),
       {-1, 4, 7}},
      {"transposed convolutions",
       archive_of("y = torch.conv_transpose2d(x, self.w, self.b, [2, 2])\n"
                  "    return torch.conv_transpose2d(y, self.w, self.b)",
                  {{"w", weights({6, 6, 2, 2}, 7)}, {"b", weights({6}, 8)}}),
       {-1, 6, 8, 8}},
      {"a transposed convolution, as it is traced",
       archive_of(
           "return torch._convolution(x, self.w, None, [1, 1], [1, 1], [1, 1], True, [0, 0], 1, False, "
           "False, True, True)",
           {{"w", weights({6, 6, 3, 3}, 7)}}),
       {-1, 6, 8, 8}},
      {"an LSTM whose first state is of no type",
       archive_of("zero = torch.zeros([1, x.size(0), 24])\n" + run_lstm, lstm),
       {-1, 5, 20}},
      {"an LSTM whose first state is said to be fp32",
       archive_of("zero = torch.zeros([1, x.size(0), 24], dtype=6)\n" + run_lstm, lstm),
       {-1, 5, 20}},
      {"an encoder layer in one operator",
       archive_of("return torch._transformer_encoder_layer_fwd(x, 32, 4, self.qkv, self.qkv_bias, self.out, "
                  "self.out_bias, True, True, 1e-05, self.n1, self.n1_bias, self.n2, self.n2_bias, self.f1, "
                  "self.f1_bias, self.f2, self.f2_bias, None, None)",
                  encoder),
       {-1, 6, 32}},
      {"a layer of what was made of whole numbers",
       archive_of("ranks = torch.arange(24).unsqueeze(0).expand(x.size(0), 24) / 8\n"
                  "    return torch.linear(x, self.w, self.b) + torch.linear(ranks, self.w)",
                  layer),
       {-1, 24}},
      {"products of what was made of whole numbers",
       archive_of("ranks = torch.arange(x.size(1)).to(6) / 8\n"
                  "    y = torch.linear(x, self.w) + torch.mv(self.w, ranks)\n"
                  "    return y + torch.einsum('i,ij->j', [ranks, self.w])",
                  layer),
       {-1, 24}},
      {"a layer whose weights are whole numbers",
       archive_of("return torch.linear(x, torch.arange(576, 1152).view([24, 24]).to(6)) / 1000"),
       {-1, 24}},
      {"a program that says fp32",
       archive_of("return torch.linear(torch.softmax(x.to(6), -1, dtype=6) * 24, self.w, self.b)", layer),
       {-1, 24}},
      {"fp64 at the door",
       archive_of("return torch.linear(x, self.w)", {{"w", weights({24, 24}, 1).to(at::kDouble)}}),
       {-1, 24},
       Datatype::fp64},
  };
}

TEST(Bf16Models, AreCloseToFloatWithTheSameTensorsAtTheirDoor) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    const auto before = load(one, false), after = load(one, true);
    ASSERT_TRUE(before && after) << (before ? after : before).error().message;
    EXPECT_EQ((*before)->metadata().outputs, (*after)->metadata().outputs);
    for (const std::int64_t rows : {1, 5}) {
      Shape shape = one.shape;
      shape.front() = rows;
      at::Tensor x = random_tensor(shape, 99);
      if (one.datatype == Datatype::fp64) x = x.to(at::kDouble);
      const auto old = run(**before, x), fresh = run(**after, x);
      ASSERT_EQ(old.size(), fresh.size());
      for (std::size_t i = 0; i < old.size(); ++i) {
        EXPECT_EQ(old[i].shape, fresh[i].shape);
        ASSERT_EQ(old[i].datatype, fresh[i].datatype);
        const double error = relative_error(numbers_of(old[i]), numbers_of(fresh[i]));
        EXPECT_LT(error, 0.02) << "output " << i;
        EXPECT_GT(error, 1e-5) << "output " << i << " is the float model's";
      }
    }
  }
}

TEST(Bf16Models, LeaveWholeNumbersAsTheyAre) {
  const Case table{"",
                   archive_of("return torch.embedding(self.table, x), x + 1",
                              {{"table", at::arange(2000, at::kFloat).remainder(100).unsqueeze(1)}}),
                   {-1, 1},
                   Datatype::int64};
  const auto model = load(table, true);
  ASSERT_TRUE(model) << model.error().message;
  const auto answer = run(**model, at::full({1, 1}, 1937, at::kLong));
  ASSERT_EQ(answer.size(), 2U);
  EXPECT_EQ(numbers(answer[0]), std::vector<float>{37}) << "BF16 has no 1937";
  EXPECT_EQ(answer[1].datatype, Datatype::int64);
  std::int64_t next = 0;
  std::memcpy(&next, answer[1].bytes.bytes().data(), sizeof next);
  EXPECT_EQ(next, 1938);
}

TEST(Bf16Models, WarmUpAndAreTriedWithPaddingByACoarserMeasure) {
  const Case tagger{
      "",
      archive_of(
          "rows = torch.embedding(self.table, x) * torch.ne(x, 0).unsqueeze(2)\n"
          "    return torch.linear(torch.sum(rows, [1]) / torch.sum(torch.ne(x, 0), [1], True), self.weight)",
          {{"table", random_tensor({10, 64}, 5)}, {"weight", random_tensor({3, 64}, 6)}}),
      {-1, -1},
      Datatype::int64};
  const auto model = load(tagger, true);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_FALSE(replica::warm_up(**model).empty());
  const serving::PaddingWish padding{.buckets = {{16, 64}}, .values = {}, .cut = {}, .tolerance = 0.02};
  const auto used = replica::use_padding(**model, padding);
  EXPECT_TRUE(used) << used.error().message;
}

TEST(Bf16Models, ThatCanNotComputeInItAreRefusedAtTheirStart) {
  const Case inverse{
      "", archive_of("return torch.inverse(x + self.eye)", {{"eye", at::eye(3) * 9}}), {-1, 3, 3}};
  ASSERT_TRUE(load(inverse, false)) << load(inverse, false).error().message;
  const auto model = load(inverse, true);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(model.error().message.find("made: precision: bf16: its trial run failed: "), std::string::npos)
      << model.error().message;
  EXPECT_NE(model.error().message.find("BFloat16"), std::string::npos) << model.error().message;
  EXPECT_NE(model.error().hint.find("leave precision out"), std::string::npos) << model.error().hint;
}

TEST(Bf16Models, ThatComputeSomethingElseInItAreRefusedAtTheirStart) {
  // 257 is 256 in BF16.
  const Case steps{"", archive_of("return (x + 257) - 256 - x"), {-1, 3}};
  ASSERT_TRUE(load(steps, false));
  const auto model = load(steps, true);
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("% off that in fp32"), std::string::npos) << model.error().message;
}

/// Why it is refused in BF16.
std::string fault_of(const std::string& body) {
  const Case one{"", archive_of(body), {-1, 3}};
  EXPECT_TRUE(load(one, false));
  const auto model = load(one, true);
  return model ? "none" : model.error().message;
}

TEST(Bf16Models, AreRefusedForOneOutputHoweverLargeTheOthersAre) {
  const auto small = fault_of("return x * 1000, (x + 257) - 256 - x");
  EXPECT_NE(small.find("output output__1 is"), std::string::npos) << small;
  EXPECT_NE(small.find("% off that in fp32"), std::string::npos) << small;
  const auto zeros = fault_of("return x, x * 0 + 257 - 256 - 1");
  EXPECT_NE(zeros.find("output output__1 is inf % off that in fp32"), std::string::npos) << zeros;
  EXPECT_EQ(fault_of("return x, x * 0"), "none") << "zeros that stay zeros";
  const auto longer = fault_of("return x, torch.zeros([x.size(0), int((x * 0 + 257).max())], dtype=4)");
  EXPECT_NE(longer.find("output output__1 has the shape [2, 256], and [2, 257] in fp32"), std::string::npos)
      << longer;
}

TEST(Bf16Models, CountPositionsInFloat) {
  for (const char* positions :
       {"torch.arange(1000, dtype=6)", "torch.arange(x.size(1), dtype=6)", "torch.arange(x.size(1)).to(6)",
        "torch.arange(x.size(1)).float()", "torch.cumsum(torch.ones([x.size(1)], dtype=4), 0, dtype=6)"}) {
    SCOPED_TRACE(positions);
    const Case made{"", archive_of(std::string("return x + ") + positions), {-1, 1000}};
    const auto before = load(made, false), after = load(made, true);
    ASSERT_TRUE(before && after) << (before ? after : before).error().message;
    const at::Tensor x = random_tensor({1, 1000}, 99);
    const auto want = numbers(run(**before, x).at(0)), have = numbers(run(**after, x).at(0));
    ASSERT_EQ(want.size(), have.size());
    double most = 0;
    for (std::size_t i = 0; i < want.size(); ++i) most = std::max(most, std::fabs(0.0 + want[i] - have[i]));
    EXPECT_LT(most, 0.02) << "BF16 has every fourth number only from 512 on";
  }
}

TEST(Bf16Models, TakeTensorsOfFloat16) {
  const Case made{
      "",
      archive_of("return x + torch.embedding(self.table, torch.zeros([x.size(0)], dtype=4)).to(6)",
                 {{"table", weights({3, 3}, 1).to(at::kHalf)}}),
      {-1, 3}};
  const auto model = load(made, true);
  EXPECT_TRUE(model) << model.error().message;
}

TEST(Bf16Models, AreNotOfEightBitsToo) {
  const auto both = load({"", layers_archive(), {-1, 32}}, true, true);
  ASSERT_FALSE(both);
  EXPECT_NE(both.error().message.find("in bf16 or in int8, not in both"), std::string::npos)
      << both.error().message;
}

}  // namespace
}  // namespace ds::infer
