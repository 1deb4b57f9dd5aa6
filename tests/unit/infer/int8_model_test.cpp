// Models whose layers compute with whole numbers of 8 bits, against the same in fp32.
#include "tests/unit/infer/script_models.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <memory>
#include <span>

#include "actors/infer/compare_models.hpp"
#include "actors/replica/quantized_model.hpp"

namespace ds::infer {
namespace {

using Shape = std::vector<std::int64_t>;

Result<std::unique_ptr<ServedModel>> load(const std::string& archive, const Shape& shape, bool int8) {
  ModelSource source{archive, "made", {{"x", serving::Datatype::fp32, shape}}, {}};
  ModelOptions options;
  options.name = "made";
  options.max_batch_size = 32;
  options.int8 = int8;
  return ServedModel::load(std::move(source), options);
}

std::vector<serving::Tensor> run(ServedModel& model, const at::Tensor& x) {
  const ServedModel::Tensors request{floats("x", x)};
  const auto* const one = &request;
  auto answers = model.run(std::span(&one, 1));
  if (!answers) ADD_FAILURE() << answers.error().message;
  return answers ? answers->front() : std::vector<serving::Tensor>();
}

double relative_error(const std::vector<float>& before, const std::vector<float>& after) {
  double wrong = 0, all = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    wrong += std::pow(double{before[i]} - after[i], 2);
    all += std::pow(double{before[i]}, 2);
  }
  return std::sqrt(wrong / all);
}

struct Case {
  const char* name;
  std::string archive;
  Shape shape;
  std::uint32_t linear_layers, lstm_layers;
};

at::Tensor weights(Shape shape, std::uint64_t seed) {
  return random_tensor(std::move(shape), seed, 0.2);
}

std::vector<Case> cases() {
  const std::vector<std::pair<std::string, at::Tensor>> square{{"w", weights({40, 40}, 1)},
                                                               {"b", weights({40}, 2)}};
  std::vector<std::pair<std::string, at::Tensor>> lstm;
  std::string list;
  for (const char* end : {"l0", "l0_reverse", "l1", "l1_reverse"}) {
    const std::int64_t inputs = std::string(end).starts_with("l0") ? 20 : 48;
    const std::uint64_t seed = lstm.size();
    lstm.emplace_back(std::string("wi") + end, weights({96, inputs}, seed + 10));
    lstm.emplace_back(std::string("wh") + end, weights({96, 24}, seed + 11));
    lstm.emplace_back(std::string("bi") + end, weights({96}, seed + 12));
    lstm.emplace_back(std::string("bh") + end, weights({96}, seed + 13));
    for (const char* begin : {"wi", "wh", "bi", "bh"}) list += std::string(", self.") + begin + end;
  }
  list = list.substr(2);
  const std::string padded =
      "zero = torch.zeros([4, x.size(0), 24])\n"
      "    y, h, c = torch.lstm(x, [zero, zero], [" +
      list +
      "], True, 2, 0.0, self.training, True, True)\n    return y, h.transpose(0, 1), c.transpose(0, 1)";
  const std::string packed =
      "zero = torch.zeros([4, x.size(0), 24])\n"
      "    lengths = torch.clamp_min(7 - torch.arange(x.size(0)), 2)\n"
      "    data, sizes = torch._pack_padded_sequence(x, lengths, True)\n"
      "    data, h, c = torch.lstm(data, sizes, [zero, zero], [" +
      list +
      "], True, 2, 0.0, self.training, True)\n"
      "    y, ignored = torch._pad_packed_sequence(data, sizes, True, 0.0, 7)\n"
      "    return y, h.transpose(0, 1), c.transpose(0, 1)";
  const auto encoder = encoder_tensors();
  const auto encode = [](const char* use_gelu, const char* norm_first, const std::string& mask) {
    return "return torch._transformer_encoder_layer_fwd(x, 32, 4, self.qkv, self.qkv_bias, self.out, "
           "self.out_bias, " +
           std::string(use_gelu) + ", " + norm_first +
           ", 1e-05, self.n1, self.n1_bias, self.n2, self.n2_bias, self.f1, self.f1_bias, self.f2, "
           "self.f2_bias, " +
           mask + ")";
  };
  return {
      {"an encoder layer in one operator",
       archive_of(encode("True", "True", "None, None"), encoder),
       {-1, 6, 32},
       4,
       0},
      {"the same with its norms behind and ReLU",
       archive_of(encode("False", "False", "None, None"), encoder),
       {-1, 6, 32},
       4,
       0},
      {"the same with a mask over rows",
       archive_of(encode("True", "False",
                         "torch.gt(torch.arange(6).unsqueeze(0), torch.arange(x.size(0)).unsqueeze(1)), 1"),
                  encoder),
       {-1, 6, 32},
       4,
       0},
      {"two linear layers", layers_archive(), {-1, 32}, 2, 0},
      {"addmm", archive_of("return torch.addmm(self.b, x, torch.t(self.w))", square), {-1, 40}, 1, 0},
      {"addmm of a weight as it is",
       archive_of("return torch.addmm(self.b, x, self.w)", square),
       {-1, 40},
       1,
       0},
      {"matmul of more dimensions",
       archive_of("return torch.matmul(x, self.w) + self.b", square),
       {-1, 3, 40},
       1,
       0},
      {"one weight used twice",
       archive_of("return torch.linear(torch.linear(x, self.w), self.w)", square),
       {-1, 40},
       2,
       0},
      {"LSTM, two layers, both ways", archive_of(padded, lstm), {-1, 5, 20}, 0, 1},
      {"LSTM of packed sequences", archive_of(packed, lstm), {-1, 7, 20}, 0, 1},
  };
}

TEST(Int8Models, AreCloseToFloatInLessMemoryWhateverTheirLayersAreCalled) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    const auto before = load(one.archive, one.shape, false), after = load(one.archive, one.shape, true);
    ASSERT_TRUE(before && after) << (before ? after : before).error().message;
    const Int8Sizes& sizes = (*after)->int8_sizes();
    EXPECT_EQ(sizes.linear_layers, one.linear_layers);
    EXPECT_EQ(sizes.lstm_layers, one.lstm_layers);
    EXPECT_LT(sizes.bytes_after, sizes.bytes_before * 2 / 5) << sizes.bytes_before;
    EXPECT_EQ((*before)->metadata().outputs, (*after)->metadata().outputs);
    for (const std::int64_t rows : {1, 5}) {
      Shape shape = one.shape;
      shape.front() = rows;
      const at::Tensor x = random_tensor(shape, 99);
      const auto old = run(**before, x), fresh = run(**after, x);
      ASSERT_EQ(old.size(), fresh.size());
      for (std::size_t i = 0; i < old.size(); ++i) {
        EXPECT_EQ(old[i].shape, fresh[i].shape);
        EXPECT_LT(relative_error(numbers(old[i]), numbers(fresh[i])), 0.03) << "output " << i;
      }
    }
  }
}

TEST(Int8Models, GiveARowTheSameAnswerInAnyCompany) {
  const auto model = load(layers_archive(), {-1, 32}, true);
  ASSERT_TRUE(model) << model.error().message;
  const at::Tensor x = random_tensor({9, 32}, 5);
  const auto together = numbers(run(**model, x).front());
  for (std::int64_t row = 0; row < 9; ++row) {
    const auto alone = numbers(run(**model, x.narrow(0, row, 1)).front());
    EXPECT_TRUE(
        std::ranges::equal(alone, std::span(together).subspan(static_cast<std::size_t>(row) * 20, 20)));
  }
}

TEST(Int8Models, AreRefusedWhereThereIsNothingToQuantize) {
  const auto none = [](const std::string& archive, const Shape& shape) {
    const auto model = load(archive, shape, true);
    return model ? std::string("was loaded") : model.error().message;
  };
  const std::string expected = "made: quantize: int8: the model has no layer that this could be done to";
  EXPECT_EQ(none(archive_of("return x * 2"), {-1, 4}), expected);
  EXPECT_EQ(none(archive_of("return torch.linear(x, self.w)", {{"w", weights({8, 8}, 1)}}), {-1, 8}),
            expected)
      << "too small to pay";
  at::Tensor broken = weights({64, 64}, 1);
  broken[3][3] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(none(archive_of("return torch.linear(x, self.w)", {{"w", broken}}), {-1, 64}), expected);
  EXPECT_EQ(
      none(archive_of("return torch.linear(x, self.w.to(7)).to(6)", {{"w", weights({64, 64}, 1)}}), {-1, 64})
          .find("was loaded"),
      std::string::npos)
      << "a weight that is no float32";
}

TEST(Int8Models, LeaveWeightsAloneThatChange) {
  const auto model =
      load(archive_of("w = self.w * x.mean()\n    return torch.linear(x, w) + torch.linear(x, self.v)",
                      {{"w", weights({40, 40}, 1)}, {"v", weights({40, 40}, 2)}}),
           {-1, 40}, true);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->int8_sizes().linear_layers, 1U);
}

scheduler::QuantizeSpec bounds(double max_error) {
  scheduler::QuantizeSpec spec;
  spec.max_error = max_error;
  return spec;
}

Result<std::unique_ptr<ServedModel>> load_compared(const scheduler::QuantizeSpec& spec,
                                                   const replica::QuantizationContext& context = {}) {
  ModelSource source{layers_archive(), "made", {{"x", serving::Datatype::fp32, {-1, 32}}}, {}};
  ModelOptions options;
  options.max_batch_size = 32;
  return replica::load_quantized(std::move(source), options, spec, nullptr, context);
}

TEST(Int8Models, AreComparedWithFloatOnRandomNumbersWhereThereIsNoData) {
  const auto model = load_compared({});
  ASSERT_TRUE(model) << model.error().message;
  const auto report = report_from_json((*model)->quantization());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->compared_on, "256 rows of random inputs (seed 1)");
  EXPECT_EQ(report->linear_layers, 2U);
  EXPECT_GT(report->relative_error, 0);
  EXPECT_LT(report->relative_error, 0.03);
  ASSERT_TRUE(report->agreement);
  EXPECT_GT(*report->agreement, 0.9);
  EXPECT_FALSE(report->accuracy_before);
  EXPECT_GT(report->batch_ms_before, 0);
  EXPECT_EQ(report->batch_rows, 32U);
}

TEST(Int8Models, AreRefusedWhenTheyAreFurtherOffThanTheJobAllows) {
  const auto model = load_compared(bounds(1e-5));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(model.error().message.find("quantize.max_error is 1e-05"), std::string::npos)
      << model.error().message;
}

TEST(Int8Models, AreNotComparedAgainOnceAccepted) {
  replica::QuantizationContext context;
  context.accepted = R"({"text": "as before"})";
  const auto model = load_compared(bounds(1e-5), context);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->quantization(), context.accepted);
}

/// Rows of numbers and the class that the float model says, 1,000 of them; gone with this.
class HeldOut {
 public:
  HeldOut()
      : path_(std::filesystem::temp_directory_path() / ("ds-held-out-" + std::to_string(getpid()) + ".csv")) {
    const auto model = load(layers_archive(), {-1, 32}, false);
    const at::Tensor x = random_tensor({1000, 32}, 77);
    std::ofstream csv(path_);
    for (int i = 0; i < 32; ++i) csv << "f" << i << ",";
    csv << "class\n";
    for (std::int64_t row = 0; row < 1000; ++row) {
      const auto scores = numbers(run(**model, x.narrow(0, row, 1)).front());
      const auto* at = x.data_ptr<float>() + row * 32;
      for (int i = 0; i < 32; ++i) csv << std::setprecision(9) << at[i] << ",";
      csv << std::ranges::max_element(scores) - scores.begin() << "\n";
    }
  }
  ~HeldOut() { std::filesystem::remove(path_); }

  scheduler::QuantizeSpec spec(double max_loss) const {
    scheduler::QuantizeSpec made;
    made.max_loss = max_loss;
    made.max_error = 0;  // says nothing where there are labels
    auto& eval = made.eval.emplace();
    eval.paths = {path_};
    eval.format = "csv";
    eval.columns = {{"features", {}}, {"label", {"class"}}};
    for (int i = 0; i < 32; ++i) eval.columns.front().columns.push_back("f" + std::to_string(i));
    return made;
  }

 private:
  std::filesystem::path path_;
};

TEST(Int8Models, AreComparedOnLabelledDataOfTheUser) {
  const HeldOut data;
  const auto model = load_compared(data.spec(0.05));
  ASSERT_TRUE(model) << model.error().message;
  const auto report = report_from_json((*model)->quantization());
  ASSERT_TRUE(report && report->accuracy_before && report->accuracy_after) << (*model)->quantization();
  EXPECT_EQ(report->rows, 1000U);
  EXPECT_EQ(*report->accuracy_before, 1) << "the labels are its own";
  EXPECT_LT(*report->accuracy_after, 1);
  EXPECT_GT(*report->accuracy_after, 0.95);
  EXPECT_EQ(report->accuracy_after, report->agreement);

  const auto strict = load_compared(data.spec(0));
  ASSERT_FALSE(strict);
  EXPECT_NE(strict.error().message.find("of accuracy"), std::string::npos) << strict.error().message;
  EXPECT_NE(strict.error().message.find("quantize.max_loss is 0"), std::string::npos)
      << strict.error().message;
}

TEST(Int8Models, SayThatEvaluationDataDoesNotFit) {
  const HeldOut data;
  auto spec = data.spec(0.05);
  spec.eval->columns.front().columns.pop_back();
  const auto model = load_compared(spec);
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("31 numbers where the model's input x takes shape [-1,32]"),
            std::string::npos)
      << model.error().message;
}

TEST(Int8Models, SayWhichEvaluationDataCanNotBeRead) {
  scheduler::QuantizeSpec spec;
  auto& eval = spec.eval.emplace();
  eval.paths = {"/nowhere/held_out.csv"};
  eval.format = "csv";
  eval.columns = {{"features", {"a"}}, {"label", {"b"}}};
  const auto model = load_compared(spec);
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("/nowhere/held_out.csv"), std::string::npos) << model.error().message;
}

}  // namespace
}  // namespace ds::infer
