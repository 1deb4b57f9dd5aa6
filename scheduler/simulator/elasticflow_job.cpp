#include "scheduler/simulator/elasticflow_job.hpp"

#include <cmath>

namespace ds::simulator {

double elasticflow_restart_s(std::uint32_t slots) {
  return slots == 0 ? 0 : 2 + 2 * (std::log2(slots) + 1);
}

ElasticFlowJob::ElasticFlowJob(std::uint32_t id, ElasticFlowSubmission submission,
                               std::optional<double> restart_s)
    : id_(id), submission_(std::move(submission)), restart_s_(restart_s), use_(0) {
  for (const auto& [slots, steps_per_s] : submission_.rates->measured()) {
    if (sizes_.empty() || steps_per_s > sizes_.back().steps_per_s)
      sizes_.push_back({slots, steps_per_s, this->restart_s(slots)});
  }
}

double ElasticFlowJob::alone_s() const {
  return restart_s(submission_.slots) + submission_.steps / submission_.rates->at(submission_.slots);
}

double ElasticFlowJob::advance(double from_s, double seconds) {
  if (use_.count() == 0 || is_done_) return 0;
  const double stand = use_.stand(seconds);
  const double rate = submission_.rates->at(use_.count());
  double moved = seconds - stand;
  // Not by a sum of steps that rounding could keep just below the end.
  if (const double left = submission_.steps - steps_done_; left <= rate * moved) {
    is_done_ = true;
    moved = left / rate;
    steps_done_ = submission_.steps;
    done_s_ = from_s + stand + moved;
  } else {
    steps_done_ += rate * moved;
  }
  use_.add_round(from_s, seconds, is_done_ ? stand + moved : seconds);
  return moved;
}

scheduler::ElasticJob ElasticFlowJob::view() const {
  scheduler::ElasticJob job;
  job.id = id_;
  job.submitted_s = submission_.submitted_s;
  job.requested_slots = submission_.slots;
  job.max_slots = submission_.rates->max_slots();
  job.progress = steps_done_;
  job.deadline = {submission_.deadline_s, submission_.steps - steps_done_, sizes_};
  use_.describe(job);
  return job;
}

}  // namespace ds::simulator
