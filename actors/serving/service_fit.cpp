#include "actors/serving/service_fit.hpp"

#include <algorithm>
#include <bit>

namespace ds::serving {
namespace {

constexpr double kMemory = 0.99;  // what is left of a batch's weight when another comes
constexpr double kCorrectionStep = 1.0 / 16;
constexpr double kOutlier = 3;         // times what was expected
constexpr std::uint64_t kTrusted = 8;  // batches after which an outlier can be told
constexpr std::uint32_t kShift = 3;    // outliers in a row are none
constexpr double kQuantile = 0.95;     // of the error, for `upper_us`
constexpr double kMarginStep = 0.02;
constexpr double kWidestMargin = 2;

// Powers of two end a class, because models that pad pad to them.
std::uint32_t coarse_class(std::uint32_t rows) {
  return static_cast<std::uint32_t>(std::bit_width(rows - 1));
}

}  // namespace

void ServiceFit::Correction::learn(double error) {
  ++learnt;
  part += std::max(kCorrectionStep, 1.0 / static_cast<double>(learnt)) * (error - part);
}

void ServiceFit::observe(std::uint32_t rows, std::int64_t service_us) {
  rows = std::max(rows, 1U);
  auto us = static_cast<double>(std::max<std::int64_t>(service_us, 1));
  if (observed_ >= kTrusted) {
    const double expected = expect_us(rows);
    const bool is_outlier = us > kOutlier * expected || us * kOutlier < expected;
    outliers_in_a_row_ = is_outlier ? outliers_in_a_row_ + 1 : 0;
    if (outliers_in_a_row_ == kShift) {
      forget();
    } else {
      us = std::min(us, kOutlier * expected);
    }
  }
  if (observed_ > 0) {
    const double error = us / expect_us(rows) - 1;
    margin_ += kMarginStep * (error > margin_ ? kQuantile : kQuantile - 1);
    margin_ = std::clamp(margin_, 0.0, kWidestMargin);
  }
  const double n = rows;
  for (double* sum : {&weight_, &rows_, &rows_squared_, &us_, &rows_us_}) *sum *= kMemory;
  weight_ += 1;
  rows_ += n;
  rows_squared_ += n * n;
  us_ += us;
  rows_us_ += n * us;
  ++observed_;
  largest_seen_ = std::max(largest_seen_, rows);
  fit();
  const double line = fixed_us_ + per_row_us_ * n;
  correction_.at(coarse_class(rows)).learn(us / line - 1);
  if (rows <= kExactSizes) exact_.at(rows).learn(us / line - 1);
}

void ServiceFit::forget() {
  observed_ = 0;
  outliers_in_a_row_ = 0;
  for (double* sum : {&weight_, &rows_, &rows_squared_, &us_, &rows_us_}) *sum = 0;
  correction_.fill({});
  exact_.fill({});
}

void ServiceFit::fit() {
  const double mean_rows = rows_ / weight_;
  const double mean_us = us_ / weight_;
  const double variance = rows_squared_ / weight_ - mean_rows * mean_rows;
  if (observed_ == 1) {
    per_row_us_ = mean_us / (2 * mean_rows);
  } else if (variance > 0.01 * mean_rows * mean_rows) {
    per_row_us_ = (rows_us_ / weight_ - mean_rows * mean_us) / variance;
  }  // else all batches are of one size: they say nothing of the slope, and what it was stays
  per_row_us_ = std::clamp(per_row_us_, 0.0, mean_us / mean_rows);
  fixed_us_ = mean_us - per_row_us_ * mean_rows;
}

double ServiceFit::expect_us(std::uint32_t rows) const {
  rows = std::max(rows, 1U);
  const bool is_exact = rows <= kExactSizes && exact_.at(rows).learnt >= kTrusted;
  const Correction& correction = is_exact ? exact_.at(rows) : correction_.at(coarse_class(rows));
  return (fixed_us_ + per_row_us_ * rows) * (1 + correction.part);
}

std::uint32_t ServiceFit::largest_within(double budget_us, std::uint32_t most) const {
  // Not by halves: corrections may make a size dearer than the next.
  for (std::uint32_t rows = most; rows > 0; --rows) {
    if (upper_us(rows) <= budget_us) return rows;
  }
  return 0;
}

}  // namespace ds::serving
