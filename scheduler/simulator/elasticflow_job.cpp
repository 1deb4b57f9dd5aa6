#include "scheduler/simulator/elasticflow_job.hpp"

#include <algorithm>

namespace ds::simulator {

ElasticFlowJob::ElasticFlowJob(std::uint32_t id, ElasticFlowSubmission submission, double restart_s)
    : id_(id), submission_(std::move(submission)), restart_s_(restart_s) {}

double ElasticFlowJob::alone_s() const {
  return restart_s_ + submission_.steps / submission_.rates->at(submission_.slots);
}

double ElasticFlowJob::advance(double from_s, double seconds) {
  if (slots_.empty() || is_done_) return 0;
  const double stand = std::min(standing_s_, seconds);
  standing_s_ -= stand;
  const double rate = submission_.rates->at(static_cast<std::uint32_t>(slots_.size()));
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
  run_s_ += seconds;
  runs_.back().to_s = from_s + seconds;
  unchanged_s_ += seconds;
  attained_slot_s_ += (is_done_ ? stand + moved : seconds) * static_cast<double>(slots_.size());
  return moved;
}

void ElasticFlowJob::give(const scheduler::Slots& slots, double now_s) {
  if (slots_.empty()) runs_.push_back({now_s, now_s});
  slots_ = slots;
  unchanged_s_ = 0;
  standing_s_ = 0;
  if (slots.empty()) return;
  standing_s_ = restart_s_;
  ++restarts_;
}

scheduler::ElasticJob ElasticFlowJob::view() const {
  scheduler::ElasticJob job;
  job.id = id_;
  job.submitted_s = submission_.submitted_s;
  job.requested_slots = submission_.slots;
  job.max_slots = submission_.rates->max_slots();
  job.slots = slots_;
  job.runs = runs_;
  job.run_s = run_s_;
  job.attained_slot_s = attained_slot_s_;
  job.progress = steps_done_;
  job.restarts = restarts_;
  job.standing_s = standing_s_;
  job.unchanged_s = unchanged_s_;
  return job;
}

}  // namespace ds::simulator
