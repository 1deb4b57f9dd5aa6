#include "scheduler/simulator/rigid_job.hpp"

#include <algorithm>

namespace ds::simulator {

RigidJob::RigidJob(std::uint32_t id, RigidSubmission submission, double restart_s)
    : id_(id), submission_(std::move(submission)), restart_s_(restart_s), use_(restart_s) {
  for (const EpochRun& run : submission_.runs) {
    total_s_ += run.epochs * run.epoch_s;
    total_epochs_ += run.epochs;
  }
}

std::optional<double> RigidJob::news_s(double now_s) const {
  if (use_.count() == 0) return std::nullopt;
  return now_s + use_.standing_s() + total_s_ - moved_s_;
}

double RigidJob::advance(double from_s, double seconds) {
  if (use_.count() == 0 || is_done_) return 0;
  const double stand = use_.stand(seconds);
  double moved = seconds - stand;
  // Not by a sum of seconds that rounding could keep just below the end.
  if (const double left = total_s_ - moved_s_; left <= moved) {
    is_done_ = true;
    moved = left;
    moved_s_ = total_s_;
    done_s_ = from_s + stand + moved;
  } else {
    moved_s_ += moved;
  }
  use_.add_round(from_s, seconds, is_done_ ? stand + moved : seconds);
  return moved;
}

scheduler::ElasticJob RigidJob::view() const {
  scheduler::ElasticJob job;
  job.id = id_;
  job.submitted_s = submission_.submitted_s;
  job.requested_slots = submission_.slots;
  job.max_slots = submission_.slots;
  job.is_rigid = true;
  double into_s = moved_s_;
  double epoch_s = submission_.runs.back().epoch_s;
  for (const EpochRun& run : submission_.runs) {
    const double run_s = run.epochs * run.epoch_s;
    if (into_s < run_s) {
      epoch_s = run.epoch_s;
      job.progress += into_s / epoch_s;
      break;
    }
    into_s -= run_s;
    job.progress += run.epochs;
  }
  if (submission_.has_plan) job.planned_s = std::max(0.0, total_epochs_ - job.progress) * epoch_s;
  use_.describe(job);
  return job;
}

}  // namespace ds::simulator
