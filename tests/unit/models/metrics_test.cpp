#include "actors/train/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>
#include <vector>

namespace ds::train {
namespace {

struct Rows {
  std::vector<std::int64_t> predicted, expected;
};

Rows random_rows(std::mt19937& random, std::size_t count, std::uint32_t classes, bool unknown) {
  Rows rows;
  for (std::size_t i = 0; i < count; ++i) {
    rows.expected.push_back(static_cast<std::int64_t>(random() % classes));
    rows.predicted.push_back(random() % 2 == 0 ? rows.expected.back()
                                               : static_cast<std::int64_t>(random() % classes));
    if (unknown && random() % 5 == 0) rows.expected.back() = -1;
  }
  return rows;
}

/// One class after another, as the definition says.
double naive_f1(const Rows& rows, std::uint32_t classes) {
  double sum = 0, count = 0;
  for (std::int64_t c = 0; c < std::int64_t{classes}; ++c) {
    double tp = 0, fp = 0, fn = 0;
    for (std::size_t i = 0; i < rows.expected.size(); ++i) {
      if (rows.expected[i] < 0) continue;
      if (rows.expected[i] == c && rows.predicted[i] == c) ++tp;
      if (rows.expected[i] != c && rows.predicted[i] == c) ++fp;
      if (rows.expected[i] == c && rows.predicted[i] != c) ++fn;
    }
    if (tp + fp + fn == 0) continue;
    sum += 2 * tp / (2 * tp + fp + fn);
    ++count;
  }
  return sum / count;
}

double naive_dice(const Rows& rows, std::size_t elements, std::uint32_t classes) {
  double sum = 0, count = 0;
  for (std::int64_t c = 1; c < std::int64_t{classes}; ++c) {
    double of_class = 0, with_class = 0;
    for (std::size_t row = 0; row < rows.expected.size(); row += elements) {
      double a = 0, b = 0, both = 0;
      for (std::size_t i = row; i < row + elements; ++i) {
        if (rows.expected[i] < 0) continue;
        if (rows.expected[i] == c) ++a;
        if (rows.predicted[i] == c) ++b;
        if (rows.expected[i] == c && rows.predicted[i] == c) ++both;
      }
      if (a + b == 0) continue;
      of_class += 2 * both / (a + b);
      ++with_class;
    }
    if (with_class == 0) continue;
    sum += of_class / with_class;
    ++count;
  }
  return count == 0 ? 1 : sum / count;
}

/// All pairs.
std::optional<double> naive_auc(const std::vector<float>& scores, const std::vector<std::int64_t>& expected,
                                std::uint32_t classes) {
  double sum = 0, count = 0;
  for (std::uint32_t c = classes == 2 ? 1 : 0; c < classes; ++c) {
    double right = 0, pairs = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      for (std::size_t j = 0; j < expected.size(); ++j) {
        if (expected[i] != std::int64_t{c} || expected[j] == std::int64_t{c} || expected[j] < 0) continue;
        const float a = scores[i * classes + c], b = scores[j * classes + c];
        right += a > b ? 1 : a == b ? 0.5 : 0;
        ++pairs;
      }
    }
    if (pairs == 0) continue;
    sum += right / pairs;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

TEST(MetricSums, AgreeWithTheDefinitions) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    const auto classes = static_cast<std::uint32_t>(2 + random() % 5);
    const std::size_t elements = round % 2 == 0 ? 1 : 1 + random() % 12;
    const Rows rows = random_rows(random, elements * (1 + random() % 9), classes, round % 3 == 0);
    MetricSums sums(classes);
    sums.add(1.5, 2, elements, rows.predicted, rows.expected);
    double right = 0, known = 0;
    for (std::size_t i = 0; i < rows.expected.size(); ++i) {
      if (rows.expected[i] == rows.predicted[i]) ++right;
      if (rows.expected[i] >= 0 || elements == 1) ++known;
    }
    EXPECT_DOUBLE_EQ(sums.loss(), 0.75);
    EXPECT_DOUBLE_EQ(sums.accuracy(), known == 0 ? 0 : right / known);
    const double f1 = naive_f1(rows, classes);
    EXPECT_NEAR(sums.macro_f1(), std::isnan(f1) ? 0 : f1, 1e-12);
    EXPECT_NEAR(sums.dice(), naive_dice(rows, elements, classes), 1e-12);
  }
}

TEST(MetricSums, AddUpOverParts) {
  std::mt19937 random(4);
  const Rows rows = random_rows(random, 60, 4, true);
  MetricSums whole(4), first(4), second(4);
  const std::span<const std::int64_t> predicted(rows.predicted), expected(rows.expected);
  whole.add(7, 20, 3, predicted, expected);
  first.add(3, 9, 3, predicted.first(27), expected.first(27));
  second.add(4, 11, 3, predicted.subspan(27), expected.subspan(27));
  std::vector<double> sum(first.values().begin(), first.values().end());
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += second.values()[i];
  const MetricSums both(4, sum);
  EXPECT_DOUBLE_EQ(both.loss(), whole.loss());
  EXPECT_DOUBLE_EQ(both.accuracy(), whole.accuracy());
  EXPECT_DOUBLE_EQ(both.macro_f1(), whole.macro_f1());
  EXPECT_NEAR(both.dice(), whole.dice(), 1e-15);
}

TEST(MetricSums, HaveTheLossAloneWhereTheLabelIsNoClass) {
  MetricSums sums(0);
  sums.add(3, 4, 1, {}, {});
  EXPECT_DOUBLE_EQ(sums.loss(), 0.75);
  EXPECT_EQ(sums.accuracy(), 0);
  EXPECT_EQ(MetricSums(3).loss(), 0) << "without rows";
}

TEST(Auc, AgreesWithCountingAllPairs) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    const auto classes = static_cast<std::uint32_t>(2 + random() % 3);
    const Rows rows = random_rows(random, 1 + random() % 30, classes, round % 3 == 0);
    std::vector<float> scores(rows.expected.size() * classes);
    for (float& score : scores) score = static_cast<float>(random() % 8) / 8;  // many ties
    const auto ours = auc(scores, rows.expected, classes), naive = naive_auc(scores, rows.expected, classes);
    ASSERT_EQ(ours.has_value(), naive.has_value());
    EXPECT_NEAR(ours.value_or(0), naive.value_or(0), 1e-12);
  }
}

TEST(Auc, IsHalfWhenAllScoresAreEqualAndNothingWithoutBothKinds) {
  EXPECT_EQ(auc(std::vector<float>(8, 0.5F), std::vector<std::int64_t>{0, 1, 1, 0}, 2), 0.5);
  EXPECT_EQ(auc(std::vector<float>(4, 0.5F), std::vector<std::int64_t>{1, 1}, 2), std::nullopt);
  EXPECT_EQ(auc({}, {}, 2), std::nullopt);
}

}  // namespace
}  // namespace ds::train
