#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "actors/train/model.hpp"
#include "tests/unit/models/zoo_cases.hpp"

namespace ds::train {
namespace {

class Zoo : public ::testing::TestWithParam<ZooCase> {
 protected:
  static std::unique_ptr<Model> make(const ModelRequest& request) {
    auto model = Model::create(request);
    EXPECT_TRUE(model) << model.error().message;
    return model ? *std::move(model) : nullptr;
  }
  std::unique_ptr<Model> make() const { return make(GetParam().request); }

  static std::vector<float> copy(std::span<const float> values) { return {values.begin(), values.end()}; }
};

INSTANTIATE_TEST_SUITE_P(Models, Zoo, ::testing::ValuesIn(zoo_cases()),
                         [](const auto& each) { return each.param.name; });

TEST_P(Zoo, HasSlotsWithoutGaps) {
  const auto model = make();
  ASSERT_NE(model, nullptr);
  const auto check = [](const std::vector<TensorSlot>& slots, std::size_t size) {
    std::uint64_t end = 0;
    for (const TensorSlot& slot : slots) {
      EXPECT_EQ(slot.offset, end) << slot.name;
      EXPECT_EQ(slot.size, static_cast<std::uint64_t>(std::accumulate(slot.shape.begin(), slot.shape.end(),
                                                                      std::int64_t{1}, std::multiplies<>())));
      end += slot.size;
    }
    EXPECT_EQ(end, size);
  };
  check(model->parameter_slots(), model->parameters().size());
  check(model->buffer_slots(), model->buffers().size());
  check(model->counter_slots(), model->counters().size());
  EXPECT_EQ(model->parameters().size(), model->gradients().size());
}

/// Along two directions, with dropout on: the same seed drops the same elements.
TEST_P(Zoo, HasTheGradientThatDifferencesShow) {
  const auto model = make();
  ASSERT_NE(model, nullptr);
  const data::Batch batch = make_rows(GetParam().request, 5);
  const auto loss_at = [&](const std::vector<float>& parameters) {
    std::ranges::copy(parameters, model->parameters().begin());
    const auto made = model->accumulate(batch, 3, 5, 1, {});
    EXPECT_TRUE(made) << made.error().message;
    return made->loss;
  };
  const std::vector<float> begin = copy(model->parameters());
  std::ranges::fill(model->gradients(), 0.0F);
  loss_at(begin);
  const std::vector<float> gradient = copy(model->gradients());
  const double norm = std::sqrt(std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0));
  ASSERT_GT(norm, 1e-3);
  std::mt19937 random(5);
  for (const bool along_gradient : {true, false}) {
    std::vector<float> direction(gradient.size());
    double slope = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      const float sign = gradient[i] < 0 ? -1.0F : 1.0F;
      direction[i] = along_gradient ? gradient[i] / static_cast<float>(norm)
                                    : sign * static_cast<float>(random() % 100) / 100 /
                                          std::sqrt(static_cast<float>(gradient.size()));
      slope += static_cast<double>(direction[i]) * gradient[i];
    }
    constexpr float kStep = 2e-3F;
    std::vector<float> ahead = begin, behind = begin;
    for (std::size_t i = 0; i < begin.size(); ++i) {
      ahead[i] += kStep * direction[i];
      behind[i] -= kStep * direction[i];
    }
    const double difference = (loss_at(ahead) - loss_at(behind)) / (2.0 * static_cast<double>(kStep));
    EXPECT_NEAR(difference, slope, 0.04 * std::abs(slope) + 1e-3) << (along_gradient ? "gradient" : "random");
  }
}

/// In evaluation every row stands for itself; in training it does where neither dropout nor batch norm mix.
TEST_P(Zoo, AddsUpHoweverABatchIsSplit) {
  ModelRequest request = GetParam().request;
  if (request.model.settings.contains("dropout") || request.model.zoo == "transformer")
    request.model.settings["dropout"] = {0};
  const auto model = make(request);
  ASSERT_NE(model, nullptr);
  const data::Batch batch = make_rows(request, 7);
  const auto whole = model->judge(batch, false);
  ASSERT_TRUE(whole) << whole.error().message;
  double loss = 0;
  std::vector<std::int64_t> predicted;
  for (const auto& [first, last] : {std::pair{0, 3}, {3, 3}, {3, 4}, {4, 7}}) {
    const auto part = model->judge(
        part_of_rows(batch, static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(last)), false);
    ASSERT_TRUE(part) << part.error().message;
    loss += part->loss;
    predicted.insert(predicted.end(), part->predicted.begin(), part->predicted.end());
  }
  EXPECT_NEAR(loss, whole->loss, 1e-4);
  EXPECT_EQ(predicted, whole->predicted);
  EXPECT_EQ(whole->rows, 7U);
  if (!model->buffers().empty()) return;

  std::ranges::fill(model->gradients(), 0.0F);
  const auto all = model->accumulate(batch, 1, 7, 1, {});
  ASSERT_TRUE(all);
  const std::vector<float> gradient = copy(model->gradients());
  std::ranges::fill(model->gradients(), 0.0F);
  double parts = 0;
  for (const auto& [first, last] : {std::pair{0, 2}, {2, 6}, {6, 7}})
    parts += model
                 ->accumulate(
                     part_of_rows(batch, static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(last)),
                     1, 7, 1, {})
                 ->loss;
  EXPECT_NEAR(parts, all->loss, 1e-5);
  for (std::size_t i = 0; i < gradient.size(); ++i)
    ASSERT_NEAR(model->gradients()[i], gradient[i], 2e-5 + 1e-4 * std::abs(gradient[i])) << i;
}

TEST_P(Zoo, GivesTheSameBitsTwice) {
  const auto first = make(), second = make();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(train_briefly(*first, GetParam().request, 5), train_briefly(*second, GetParam().request, 5));
}

TEST_P(Zoo, TellsFinishedGradientsInFallingOrderWithoutGaps) {
  const auto model = make();
  ASSERT_NE(model, nullptr);
  std::uint64_t open = model->parameters().size();
  std::size_t calls = 0;
  std::vector<float> told(open);
  std::ranges::fill(model->gradients(), 0.0F);
  const auto made = model->accumulate(make_rows(GetParam().request, 4), 1, 4, 1, [&](auto first, auto last) {
    EXPECT_EQ(last, open);
    EXPECT_LT(first, last);
    std::ranges::copy(model->gradients().subspan(first, last - first),
                      told.begin() + static_cast<std::ptrdiff_t>(first));
    open = first;
    ++calls;
  });
  ASSERT_TRUE(made);
  EXPECT_EQ(open, 0U);
  EXPECT_GT(calls, 1U);
  EXPECT_EQ(told, copy(model->gradients())) << "a gradient changed after it was told";
}

TEST_P(Zoo, MeasuresTheGradientThatACallAdds) {
  const auto model = make();
  ASSERT_NE(model, nullptr);
  const auto add = [&](std::uint64_t seed) {
    const auto made = model->accumulate(make_rows(GetParam().request, 4), seed, 4, 1, {});
    EXPECT_TRUE(made) << made.error().message;
    return made->squared_norm;
  };
  model->zero_gradients();
  EXPECT_EQ(add(1), 0) << "nobody has asked";
  const std::vector<float> unmeasured = copy(model->gradients());
  model->zero_gradients();
  model->measure_norms(true);
  const double first = add(1);
  const std::vector<float> before = copy(model->gradients());
  EXPECT_EQ(before, unmeasured) << "measuring has changed what is measured";
  const double square = std::inner_product(before.begin(), before.end(), before.begin(), 0.0);
  EXPECT_NEAR(first, square, 1e-6 * square);
  const double second = add(2);
  double difference = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const double moved = static_cast<double>(model->gradients()[i]) - before[i];
    difference += moved * moved;
  }
  EXPECT_NEAR(second, difference, 1e-3 * difference);
}

TEST_P(Zoo, AddsGradientsUpWhereItIsTold) {
  const auto model = make();
  ASSERT_NE(model, nullptr);
  const auto add_two = [&] {
    for (const std::uint64_t seed : {1U, 2U})
      ASSERT_TRUE(model->accumulate(make_rows(GetParam().request, 4), seed, 4, 1, {}));
  };
  std::ranges::fill(model->gradients(), 0.0F);
  add_two();
  const std::vector<float> expected = copy(model->gradients());
  model->zero_gradients();
  add_two();
  EXPECT_EQ(copy(model->gradients()), expected) << "zeros that were not written";
  std::vector<float> elsewhere(expected.size(), 7.0F);
  model->put_gradients(elsewhere);
  add_two();
  EXPECT_EQ(model->gradients().data(), elsewhere.data());
  EXPECT_EQ(elsewhere, expected);
  model->put_gradients({});
  EXPECT_TRUE(std::ranges::all_of(model->gradients(), [](float value) { return value == 0; }));
  EXPECT_EQ(elsewhere, expected) << "it is its owner's again";
}

TEST_P(Zoo, ScalesTheGradientButNotTheLoss) {
  const auto model = make();
  ASSERT_NE(model, nullptr);
  const data::Batch batch = make_rows(GetParam().request, 4);
  std::ranges::fill(model->gradients(), 0.0F);
  const double loss = model->accumulate(batch, 1, 4, 1, {})->loss;
  const std::vector<float> gradient = copy(model->gradients());
  std::ranges::fill(model->gradients(), 0.0F);
  EXPECT_EQ(model->accumulate(batch, 1, 4, 1024, {})->loss, loss);
  for (std::size_t i = 0; i < gradient.size(); ++i)
    ASSERT_NEAR(model->gradients()[i], gradient[i] * 1024, 1e-2 + 1e-3 * std::abs(gradient[i] * 1024)) << i;
}

TEST_P(Zoo, LearnsItsRowsByHeart) {
  ModelRequest request = GetParam().request;
  const auto model = make(request);
  ASSERT_NE(model, nullptr);
  const data::Batch batch = make_rows(request, 6);
  const double before = model->judge(batch, false)->loss;
  const float rate = request.model.zoo == "lstm" ? 1.0F : 0.1F;  // its gradients are small
  for (int step = 0; step < 60; ++step) {
    std::ranges::fill(model->gradients(), 0.0F);
    ASSERT_TRUE(model->accumulate(batch, static_cast<std::uint64_t>(step), 6, 1, {}));
    for (std::size_t i = 0; i < model->parameters().size(); ++i)
      model->parameters()[i] -= rate * model->gradients()[i];
  }
  EXPECT_LT(model->judge(batch, false)->loss, 0.9 * before);
}

TEST_P(Zoo, RunsIn16BitsCloseToFloat32) {
  for (const auto& [precision, error] : {std::pair("bf16", 0.05), std::pair("fp16", 0.005)}) {
    ModelRequest request = GetParam().request;
    const auto exact = make(request);
    request.precision = precision;
    const auto rounded = make(request);
    ASSERT_NE(rounded, nullptr);
    const data::Batch batch = make_rows(request, 6);
    const auto one = exact->accumulate(batch, 1, 6, 1, {}), other = rounded->accumulate(batch, 1, 6, 1, {});
    ASSERT_TRUE(one);
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_NE(one->loss, other->loss) << "it did not round to " << precision;
    EXPECT_NEAR(one->loss, other->loss, error * std::abs(one->loss)) << precision;
  }
}

/// A scale that binary16 can bear changes nothing but what would have vanished below its smallest number.
TEST_P(Zoo, HasGradientsInFp16ThatAScaleKeepsFromVanishing) {
  ModelRequest request = GetParam().request;
  const data::Batch batch = make_rows(request, 6);
  const auto gradient_of = [&](const char* precision, double divisor, double scale) {
    request.precision = precision;
    const auto model = make(request);
    std::ranges::fill(model->gradients(), 0.0F);
    EXPECT_TRUE(model->accumulate(batch, 1, divisor, scale, {}));
    std::vector<double> gradient;
    for (const float value : model->gradients()) gradient.push_back(static_cast<double>(value) / scale);
    return gradient;
  };
  const auto distance = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0, norm = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]), norm += b[i] * b[i];
    return std::sqrt(sum / norm);
  };
  EXPECT_LT(distance(gradient_of("fp16", 4, 1), gradient_of("fp32", 4, 1)), 0.1);
  // Powers of two leave no trace but the range they keep gradients in.
  std::vector<double> scaled = gradient_of("fp16", 4.0 * 65536, 65536);
  for (double& value : scaled) value *= 65536;
  EXPECT_EQ(scaled, gradient_of("fp16", 4, 1));
  constexpr double kRows = 0x1p26;  // so small shares that gradients are about 1e-8
  EXPECT_GT(distance(gradient_of("fp16", kRows, 1), gradient_of("fp32", kRows, 1)), 0.1);
}

TEST_P(Zoo, TakesNoRowsForNothing) {
  const auto model = make();
  ASSERT_NE(model, nullptr);
  std::uint64_t told = 0;
  const auto made = model->accumulate(make_rows(GetParam().request, 0), 1, 4, 1,
                                      [&](auto first, auto last) { told += last - first; });
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->loss, 0);
  EXPECT_EQ(told, model->parameters().size());
  EXPECT_TRUE(std::ranges::all_of(model->gradients(), [](float value) { return value == 0; }));
}

}  // namespace
}  // namespace ds::train
