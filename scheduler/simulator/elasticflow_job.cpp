#include "scheduler/simulator/elasticflow_job.hpp"

#include <algorithm>
#include <cmath>

namespace ds::simulator {

namespace {

/// Of a sum of steps, as a share of all.
constexpr double kRounding = 1e-12;
constexpr std::uint64_t kPlansToLongRestart = 60;
constexpr double kLongRestartS = 27;  ///< more than others

}  // namespace

double elasticflow_restart_s(std::uint32_t slots) {
  return slots == 0 ? 0 : 2 + 2 * (std::log2(slots) + 1);
}

ElasticFlowJob::ElasticFlowJob(std::uint32_t id, ElasticFlowSubmission submission,
                               std::optional<double> restart_s, scheduler::RestartCharge charge)
    : id_(id), submission_(std::move(submission)), restart_s_(restart_s), charge_(charge), use_(0) {
  for (const auto& entry : submission_.rates->measured()) {
    const std::uint32_t slots = entry.first;
    const double steps_per_s = rate(slots);
    if (sizes_.empty() || steps_per_s > sizes_.back().steps_per_s)
      sizes_.push_back({slots, steps_per_s, this->restart_s(slots)});
  }
}

double ElasticFlowJob::rate(std::uint32_t slots) const {
  if (slots == submission_.slots && submission_.duration_s)
    return submission_.steps / *submission_.duration_s;
  return submission_.rates->at(slots);
}

double ElasticFlowJob::alone_s() const {
  return restart_s(submission_.slots) + submission_.steps / rate(submission_.slots);
}

std::optional<double> ElasticFlowJob::news_s(double now_s) const {
  const double rate = this->rate(use_.count());
  if (rate == 0) return std::nullopt;
  return now_s + (charge_ == scheduler::RestartCharge::late ? 0 : use_.standing_s()) +
         (submission_.steps - steps_done_) / rate;
}

double ElasticFlowJob::advance(double from_s, double seconds) {
  if (use_.count() == 0 || is_done_) return 0;
  const double rate = this->rate(use_.count());
  const bool is_free = charge_ == scheduler::RestartCharge::late &&
                       submission_.steps - steps_done_ <= rate * seconds + kRounding * submission_.steps;
  const double stand = is_free ? 0 : use_.stand(seconds);
  double moved = seconds - stand;
  // Not by a sum of steps that rounding could keep just below the end.
  if (const double left = submission_.steps - steps_done_;
      left <= rate * moved + kRounding * submission_.steps) {
    is_done_ = true;
    moved = std::min(moved, left / rate);
    steps_done_ = submission_.steps;
    done_s_ = from_s + stand + moved;
  } else {
    steps_done_ += rate * moved;
  }
  use_.add_round(from_s, seconds, is_done_ ? stand + moved : seconds);
  return moved;
}

void ElasticFlowJob::give(const scheduler::Slots& slots, double now_s) {
  const bool is_charged = charge_ != scheduler::RestartCharge::at_each_plan;
  const double owed_s = use_.standing_s();
  use_.give(slots, now_s, restart_s(static_cast<std::uint32_t>(slots.size())));
  if (!is_charged) use_.owe(owed_s);
}

void ElasticFlowJob::note_plan(std::uint64_t nth) {
  if (charge_ != scheduler::RestartCharge::at_each_plan) return;
  const bool is_long = !restart_s_ && nth > 0 && nth % kPlansToLongRestart == 0;
  use_.owe(restart_s(submission_.slots) + (is_long ? kLongRestartS : 0));
}

scheduler::ElasticJob ElasticFlowJob::view() const {
  scheduler::ElasticJob job;
  job.id = id_;
  job.submitted_s = submission_.submitted_s;
  job.requested_slots = submission_.slots;
  job.max_slots = submission_.rates->max_slots();
  job.progress = steps_done_;
  job.planned_s = (submission_.steps - steps_done_) / rate(submission_.slots);
  job.deadline = {submission_.deadline_s, submission_.steps - steps_done_, sizes_};
  use_.describe(job);
  return job;
}

}  // namespace ds::simulator
