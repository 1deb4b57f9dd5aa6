#include "actors/train/models/loss.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

namespace ds::train {
namespace {

using Shape = std::vector<std::int64_t>;
using Values = std::vector<double>;

scheduler::LossTerm term(const std::string& name, double weight = 1) {
  scheduler::LossTerm made;
  made.name = name;
  made.weight = weight;
  return made;
}

/// Rows of scores [rows, classes, elements] and classes [rows, elements], of which some are unknown.
struct Example {
  std::int64_t rows = 5, classes = 3, elements = 4;
  at::Tensor output, label;

  explicit Example(std::int64_t classes_count, std::int64_t of_row, unsigned seed = 1)
      : classes(classes_count), elements(of_row) {
    std::mt19937 random(seed);
    output = at::empty({rows, classes, elements}, at::kFloat);
    label = at::empty({rows, elements}, at::kLong);
    for (std::int64_t i = 0; i < output.numel(); ++i)
      output.data_ptr<float>()[i] = static_cast<float>(random() % 4000) / 1000 - 2;
    for (std::int64_t i = 0; i < label.numel(); ++i)
      label.data_ptr<std::int64_t>()[i] =
          random() % 4 == 0 ? -1 : static_cast<std::int64_t>(random()) % classes;
  }

  double score(std::int64_t row, std::int64_t c, std::int64_t i) const {
    return output.data_ptr<float>()[(row * classes + c) * elements + i];
  }
  std::int64_t expected(std::int64_t row, std::int64_t i) const {
    return label.data_ptr<std::int64_t>()[row * elements + i];
  }
  Values chances(std::int64_t row, std::int64_t i) const {
    Values values;
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      values.push_back(std::exp(score(row, c, i)));
      sum += values.back();
    }
    for (double& value : values) value /= sum;
    return values;
  }

  /// The sum over the rows of the mean over the known elements.
  double sum_rows(const std::function<double(std::int64_t row, std::int64_t i)>& loss_of) const {
    double total = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      double sum = 0, count = 0;
      for (std::int64_t i = 0; i < elements; ++i) {
        if (expected(row, i) < 0) continue;
        sum += loss_of(row, i);
        ++count;
      }
      total += count == 0 ? 0 : sum / count;
    }
    return total;
  }

  double ours(const std::vector<scheduler::LossTerm>& terms) const {
    const Shape of_label = elements == 1 ? Shape{} : Shape{elements};
    Shape of_output = of_label;
    of_output.insert(of_output.begin(), classes);
    const auto loss = Loss::create(terms, static_cast<std::uint32_t>(classes),
                                   {"label", data::Element::int64, of_label}, of_output);
    EXPECT_TRUE(loss) << loss.error().message;
    return loss->sum(loss->to_output(output), loss->to_label(label)).item<float>();
  }
};

class EveryShape : public ::testing::TestWithParam<std::pair<int, int>> {
 protected:
  Example example_{GetParam().first, GetParam().second};
};
INSTANTIATE_TEST_SUITE_P(Loss, EveryShape,
                         ::testing::Values(std::pair(3, 1), std::pair(2, 1), std::pair(3, 4),
                                           std::pair(5, 7)));

TEST_P(EveryShape, CrossEntropyIsTheLogarithmOfTheRightClass) {
  const double plain = example_.sum_rows([&](auto row, auto i) {
    return -std::log(example_.chances(row, i)[static_cast<std::size_t>(example_.expected(row, i))]);
  });
  EXPECT_NEAR(example_.ours({term("cross_entropy")}), plain, 1e-4);
}

TEST_P(EveryShape, CrossEntropySmoothsAndWeighsClasses) {
  scheduler::LossTerm smooth = term("cross_entropy");
  smooth.label_smoothing = 0.1;
  for (std::int64_t c = 0; c < example_.classes; ++c) smooth.classes.push_back(0.5 + static_cast<double>(c));
  const double plain = example_.sum_rows([&](auto row, auto i) {
    const Values chances = example_.chances(row, i);
    double sum = 0;
    for (std::size_t c = 0; c < chances.size(); ++c) {
      const bool right = static_cast<std::int64_t>(c) == example_.expected(row, i);
      const double target = (right ? 0.9 : 0) + 0.1 / static_cast<double>(chances.size());
      sum -= target * smooth.classes[c] * std::log(chances[c]);
    }
    return sum;
  });
  EXPECT_NEAR(example_.ours({smooth}), plain, 1e-4);
}

TEST_P(EveryShape, FocalCountsEasySamplesLess) {
  scheduler::LossTerm focal = term("focal");
  focal.gamma = 1.5;
  for (std::int64_t c = 0; c < example_.classes; ++c)
    focal.classes.push_back(2.0 - 0.3 * static_cast<double>(c));
  const double plain = example_.sum_rows([&](auto row, auto i) {
    const auto right = static_cast<std::size_t>(example_.expected(row, i));
    const double p = example_.chances(row, i)[right];
    return -focal.classes[right] * std::pow(1 - p, 1.5) * std::log(p);
  });
  EXPECT_NEAR(example_.ours({focal}), plain, 1e-4);
}

TEST_P(EveryShape, BceTakesEachClassAgainstTheRest) {
  const double plain = example_.sum_rows([&](auto row, auto i) {
    double sum = 0;
    for (std::int64_t c = 0; c < example_.classes; ++c) {
      const double p = 1 / (1 + std::exp(-example_.score(row, c, i)));
      sum -= std::log(c == example_.expected(row, i) ? p : 1 - p);
    }
    return sum / static_cast<double>(example_.classes);
  });
  EXPECT_NEAR(example_.ours({term("bce")}), plain, 1e-4);
}

TEST_P(EveryShape, DiceComparesAreas) {
  double plain = 0;
  for (std::int64_t row = 0; row < example_.rows; ++row) {
    double of_row = 0;
    bool known = false;
    for (std::int64_t c = 1; c < example_.classes; ++c) {
      double both = 0, sum = 0;
      for (std::int64_t i = 0; i < example_.elements; ++i) {
        if (example_.expected(row, i) < 0) continue;
        known = true;
        const double p = example_.chances(row, i)[static_cast<std::size_t>(c)];
        const double t = example_.expected(row, i) == c ? 1 : 0;
        both += p * t;
        sum += p + t;
      }
      of_row += 1 - (2 * both + 1) / (sum + 1);
    }
    if (known) plain += of_row / static_cast<double>(example_.classes - 1);
  }
  EXPECT_NEAR(example_.ours({term("dice")}), plain, 1e-4);
}

TEST_P(EveryShape, TermsAddUpWithTheirWeights) {
  EXPECT_NEAR(example_.ours({term("cross_entropy", 0.5), term("dice", 2), term("focal", 3)}),
              0.5 * example_.ours({term("cross_entropy")}) + 2 * example_.ours({term("dice")}) +
                  3 * example_.ours({term("focal")}),
              1e-4);
}

TEST(Loss, ComparesNumbersByTheirSquaresOrAsChances) {
  const at::Tensor output = at::tensor({0.5F, -1.0F, 2.0F, 0.25F}).view({2, 2});
  const at::Tensor label = at::tensor({1.0F, 0.0F, 0.0F, 1.0F}).view({2, 2});
  const data::FieldShape field{"label", data::Element::float32, {2}};
  const auto mse = Loss::create({term("mse")}, 0, field, {2});
  ASSERT_TRUE(mse);
  EXPECT_NEAR(mse->sum(output, label).item<float>(), (0.25 + 1) / 2 + (4 + 0.5625) / 2, 1e-6);
  const auto bce = Loss::create({term("bce")}, 0, field, {2});
  ASSERT_TRUE(bce);
  const auto chance = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_NEAR(
      bce->sum(output, label).item<float>(),
      -(std::log(chance(0.5)) + std::log(1 - chance(-1)) + std::log(1 - chance(2)) + std::log(chance(0.25))) /
          2,
      1e-6);
  const auto dice = Loss::create({term("dice")}, 0, field, {2});
  ASSERT_TRUE(dice);
  const double first = 1 - (2 * chance(0.5) + 1) / (chance(0.5) + chance(-1) + 1 + 1);
  const double second = 1 - (2 * chance(0.25) + 1) / (chance(2) + chance(0.25) + 1 + 1);
  EXPECT_NEAR(dice->sum(output, label).item<float>(), first + second, 1e-6);
  const auto soft = Loss::create({term("cross_entropy")}, 0, field, {2});
  ASSERT_TRUE(soft);
  EXPECT_NEAR(soft->sum(output, label).item<float>(),
              std::log(1 + std::exp(-1.5)) + std::log(1 + std::exp(1.75)), 1e-5);
}

TEST(Loss, TakesOneScoreForTwoClasses) {
  const at::Tensor output = at::tensor({0.5F, -1.0F, 2.0F}).view({3, 1});
  const at::Tensor label = at::tensor({1, 0, -1}, at::kLong);
  const auto chance = [](double x) { return 1 / (1 + std::exp(-x)); };
  const data::FieldShape field{"label", data::Element::int64, {}};
  const auto bce = Loss::create({term("bce")}, 2, field, {1});
  ASSERT_TRUE(bce);
  EXPECT_EQ(bce->fit(), Fit::one_score);
  EXPECT_NEAR(bce->sum(bce->to_output(output), label).item<float>(),
              -std::log(chance(0.5)) - std::log(1 - chance(-1)), 1e-6);
  const auto focal = Loss::create({term("focal")}, 2, field, {1});
  ASSERT_TRUE(focal);
  EXPECT_NEAR(focal->sum(focal->to_output(output), label).item<float>(),
              -std::pow(1 - chance(0.5), 2) * std::log(chance(0.5)) -
                  std::pow(chance(-1), 2) * std::log(1 - chance(-1)),
              1e-6);
}

TEST(Loss, HasAGradientWhereFocalIsPerfect) {
  at::Tensor output = at::tensor({200.0F, -200.0F}).view({1, 2}).set_requires_grad(true);
  scheduler::LossTerm focal = term("focal");
  focal.gamma = 0.5;
  const auto loss = Loss::create({focal}, 2, {"label", data::Element::int64, {}}, {2});
  ASSERT_TRUE(loss);
  loss->sum(output, at::zeros({1}, at::kLong)).backward();
  EXPECT_TRUE(output.grad().isfinite().all().item<bool>());
}

TEST(Loss, RefusesWhatDoesNotFitAndNamesTheShapes) {
  const data::FieldShape label{"label", data::Element::int64, {}};
  const auto message = [](const Result<Loss>& loss) { return loss ? "made" : loss.error().message; };
  EXPECT_EQ(
      message(Loss::create({term("cross_entropy")}, 3, label, {4})),
      "loss: for a sample the model gives [4], the label [] of 3 classes needs [3]: its last layer does "
      "not fit");
  EXPECT_EQ(message(Loss::create({term("mse")}, 0, {"label", data::Element::float32, {2}}, {3})),
            "loss: for a sample the model gives [3], the label is [2]: its last layer does not fit");
  EXPECT_EQ(message(Loss::create({term("mse")}, 3, label, {3})),
            "loss: mse compares numbers, the label is a class");
  EXPECT_EQ(message(Loss::create({term("hinge")}, 3, label, {3})),
            "loss: no loss \"hinge\", there are cross_entropy, bce, mse, dice, focal");
  scheduler::LossTerm weighted = term("focal");
  weighted.classes = {1, 2};
  EXPECT_EQ(message(Loss::create({weighted}, 3, label, {3})),
            "loss: focal has weights for 2 classes, the label has 3");
  EXPECT_EQ(message(Loss::create({}, 3, label, {3})), "loss: there is none");
  EXPECT_EQ(message(Loss::create({term("cross_entropy")}, 2, label, {1})),
            "loss: cross_entropy needs a score for each of the two classes, the model gives one");
}

}  // namespace
}  // namespace ds::train
