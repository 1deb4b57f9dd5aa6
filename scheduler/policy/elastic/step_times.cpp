#include "scheduler/policy/elastic/step_times.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ds::scheduler {

void StepTimes::begin(std::uint32_t workers, std::uint32_t nodes, const std::optional<SizeMeasured>& known) {
  *this = {};
  size_.workers = workers;
  size_.nodes = nodes;
  known_ = known;
}

std::optional<SizeMeasured> StepTimes::add(const Report& report) {
  if (!std::isfinite(report.step_s) || !std::isfinite(report.compute_s) || report.compute_s <= 0 ||
      report.step_s < report.compute_s || !(report.took >= 1) || report.batches == 0)
    return std::nullopt;
  if (!first_step_) first_step_ = report.step;  // how many steps the first report is of isn't known
  if (size_.workers == 0 || report.step < *first_step_ + kWarmUpSteps * report.batches) return std::nullopt;
  if (report.batches != size_.batches) begin_batches(report.batches);
  if (samples_.size() == kReportsKept) samples_.pop_front();
  // Some steps may have been cut short: by an evaluation, or the end of an epoch.
  const double compute_s =
      report.took == report.batches ? report.compute_s : report.compute_s * report.batches / report.took;
  samples_.push_back({report.step_s + (compute_s - report.compute_s), compute_s});
  if (++reports_ < next_look_) return std::nullopt;
  next_look_ += std::min(3 * next_look_, kMostReports);
  std::vector<double> steps, computes;
  for (const Sample& sample : samples_) {
    steps.push_back(sample.step_s);
    computes.push_back(sample.compute_s);
  }
  size_.step_s = median_of(steps);
  size_.compute_s = std::min(median_of(computes), size_.step_s);
  const bool is_news = !known_ || known_->batches != size_.batches || known_->nodes != size_.nodes ||
                       std::abs(size_.step_s - known_->step_s) > kWorthTelling * known_->step_s;
  if (!is_news) return std::nullopt;
  known_ = size_;
  return size_;
}

void StepTimes::begin_batches(std::uint32_t batches) {
  size_.batches = batches;
  samples_.clear();
  reports_ = 0;
  next_look_ = kFirstReports;
}

}  // namespace ds::scheduler
