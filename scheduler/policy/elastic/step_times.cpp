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

std::optional<SizeMeasured> StepTimes::add(std::uint64_t step, double step_s, double compute_s) {
  if (!std::isfinite(step_s) || !std::isfinite(compute_s) || compute_s <= 0 || step_s < compute_s)
    return std::nullopt;
  if (!first_step_) first_step_ = step;  // how many steps the first report is of isn't known
  if (size_.workers == 0 || step < *first_step_ + kWarmUpSteps) return std::nullopt;
  if (samples_.size() == kReportsKept) samples_.pop_front();
  samples_.push_back({step_s, compute_s});
  if (++reports_ < next_look_) return std::nullopt;
  next_look_ *= 4;
  std::vector<double> steps, computes;
  for (const Sample& sample : samples_) {
    steps.push_back(sample.step_s);
    computes.push_back(sample.compute_s);
  }
  size_.step_s = median_of(steps);
  size_.compute_s = std::min(median_of(computes), size_.step_s);
  const bool is_news = !known_ || known_->nodes != size_.nodes ||
                       std::abs(size_.step_s - known_->step_s) > kWorthTelling * known_->step_s;
  if (!is_news) return std::nullopt;
  known_ = size_;
  return size_;
}

}  // namespace ds::scheduler
