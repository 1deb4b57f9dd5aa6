#include "actors/train/metrics.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>
#include <utility>

namespace ds::train {
namespace {

enum Place : std::size_t { kLoss, kRows, kElements, kRight, kFirstClass };

double ratio(double part, double whole) {
  return whole == 0 ? 0 : part / whole;
}

/// The share of pairs, one row of the class and one of the rest, that the scores put in order.
std::optional<double> auc_of(std::vector<std::pair<float, bool>>& rows) {
  std::ranges::sort(rows, [](const auto& a, const auto& b) { return a.first < b.first; });
  double positives = 0, negatives = 0, in_order = 0;
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = begin;
    double tied_positives = 0, tied_negatives = 0;
    for (; end < rows.size() && rows[end].first == rows[begin].first; ++end)
      (rows[end].second ? tied_positives : tied_negatives) += 1;
    in_order += tied_positives * (negatives + tied_negatives / 2);
    positives += tied_positives;
    negatives += tied_negatives;
    begin = end == begin ? begin + 1 : end;  // a NaN is equal to nothing
  }
  if (positives == 0 || negatives == 0) return std::nullopt;
  return in_order / (positives * negatives);
}

}  // namespace

MetricSums::MetricSums(std::uint32_t classes, std::vector<double> values)
    : classes_(classes), values_(std::move(values)) {
  values_.resize(size_for(classes));
}

std::size_t MetricSums::size_for(std::uint32_t classes) {
  return kFirstClass + 2 * std::size_t{classes} + std::size_t{classes} * classes;
}

double& MetricSums::confusion(std::int64_t expected, std::int64_t predicted) {
  const std::size_t begin = kFirstClass + 2 * std::size_t{classes_};
  return values_[begin + static_cast<std::size_t>(expected) * classes_ + static_cast<std::size_t>(predicted)];
}

double MetricSums::confusion(std::size_t expected, std::size_t predicted) const {
  return values_[kFirstClass + 2 * std::size_t{classes_} + expected * classes_ + predicted];
}

void MetricSums::add(double loss, std::uint64_t rows, std::uint64_t elements,
                     std::span<const std::int64_t> predicted, std::span<const std::int64_t> expected) {
  values_[kLoss] += loss;
  values_[kRows] += static_cast<double>(rows);
  if (classes_ == 0 || elements == 0) return;
  std::vector<double> both(classes_), either(classes_);
  for (std::size_t row = 0; row < expected.size(); row += elements) {
    std::ranges::fill(both, 0.0);
    std::ranges::fill(either, 0.0);
    for (std::size_t i = row; i < row + elements; ++i) {
      if (elements > 1 && expected[i] < 0) continue;
      values_[kElements] += 1;
      if (expected[i] < 0) continue;
      const bool right = expected[i] == predicted[i];
      values_[kRight] += right ? 1 : 0;
      confusion(expected[i], predicted[i]) += 1;
      if (right) both[static_cast<std::size_t>(expected[i])] += 1;
      either[static_cast<std::size_t>(expected[i])] += 1;
      either[static_cast<std::size_t>(predicted[i])] += 1;
    }
    for (std::size_t c = 1; c < classes_; ++c) {
      if (either[c] == 0) continue;
      values_[kFirstClass + 2 * c] += 2 * both[c] / either[c];
      values_[kFirstClass + 2 * c + 1] += 1;
    }
  }
}

double MetricSums::rows() const {
  return values_[kRows];
}

double MetricSums::loss() const {
  return ratio(values_[kLoss], values_[kRows]);
}

double MetricSums::accuracy() const {
  return ratio(values_[kRight], values_[kElements]);
}

double MetricSums::macro_f1() const {
  double sum = 0, count = 0;
  for (std::size_t c = 0; c < classes_; ++c) {
    double expected = 0, predicted = 0;
    for (std::size_t other = 0; other < classes_; ++other) {
      expected += confusion(c, other);
      predicted += confusion(other, c);
    }
    if (expected + predicted == 0) continue;
    sum += 2 * confusion(c, c) / (expected + predicted);
    count += 1;
  }
  return ratio(sum, count);
}

double MetricSums::dice() const {
  double sum = 0, count = 0;
  for (std::size_t c = 1; c < classes_; ++c) {
    const double rows = values_[kFirstClass + 2 * c + 1];
    if (rows == 0) continue;
    sum += values_[kFirstClass + 2 * c] / rows;
    count += 1;
  }
  return count == 0 ? 1 : sum / count;
}

std::optional<double> auc(std::span<const float> scores, std::span<const std::int64_t> expected,
                          std::uint32_t classes) {
  double sum = 0;
  std::uint32_t count = 0;
  std::vector<std::pair<float, bool>> rows;
  for (std::uint32_t c = classes == 2 ? 1 : 0; c < classes; ++c) {
    rows.clear();
    for (std::size_t row = 0; row < expected.size(); ++row) {
      if (expected[row] < 0) continue;
      if (std::isnan(scores[row * classes + c])) return std::nullopt;
      rows.emplace_back(scores[row * classes + c], expected[row] == std::int64_t{c});
    }
    const std::optional<double> area = auc_of(rows);
    if (!area) continue;
    sum += *area;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

}  // namespace ds::train
