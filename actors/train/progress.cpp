#include "actors/train/progress.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace ds::train {

std::array<double, Progress::kCount> Progress::values() const {
  return {skipped,
          judged_step,
          evaluations,
          best,
          best_evaluation,
          ended,
          scale,
          clean_steps,
          bad_records,
          bad_in_epoch,
          overflows,
          noise.variance,
          noise.squared_norm,
          noise.measurements,
          batches,
          further_batches};
}

Progress Progress::of(std::span<const double> v) {
  return {v[0],  v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], {v[11], v[12], v[13]},
          v[14], v[15]};
}

Result<Progress> Progress::of_bytes(std::span<const std::byte> bytes) {
  std::array<double, kCount> values{};
  if (bytes.empty() || bytes.size() > sizeof values || bytes.size() % sizeof(double) != 0)
    return fail(ErrorCode::data_loss, fmt::format("the state's progress has {} bytes where {} belong",
                                                  bytes.size(), sizeof values));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return of(values);
}

Result<void> count_bad_records(Progress& progress, double found, std::uint64_t step,
                               std::uint64_t steps_per_epoch, std::uint64_t most) {
  const double before = step % steps_per_epoch == 0 ? 0 : progress.bad_in_epoch;
  if (before + found > static_cast<double>(most) && found > 0) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("data.train: more than {} bad records in epoch {}", most, step / steps_per_epoch + 1),
        "the workers' logs name them (ds-submit logs); mend the data, or raise on_bad_record.skip");
  }
  progress.bad_in_epoch = before + found;
  progress.bad_records += found;
  return {};
}

void judge(Progress& progress, std::uint64_t step, double metric, const scheduler::EarlyStop& rule) {
  // A gang that resumes at this step evaluates it once more.
  if (static_cast<double>(step) <= progress.judged_step) return;
  progress.judged_step = static_cast<double>(step);
  const bool first = progress.evaluations++ == 0;
  const double gain = rule.goal.larger ? metric - progress.best : progress.best - metric;
  if (first || std::isnan(progress.best) || gain > rule.min_delta) {
    progress.best = metric;
    progress.best_evaluation = progress.evaluations;
  } else if (progress.evaluations - progress.best_evaluation >= rule.patience) {
    progress.ended = 1;
  }
}

bool reaches(const scheduler::Goal& goal, double metric, double target) {
  return goal.larger ? metric >= target : metric <= target;
}

}  // namespace ds::train
