#include "scheduler/simulator/slot_use.hpp"

#include <algorithm>

namespace ds::simulator {

void SlotUse::give(const scheduler::Slots& slots, double now_s, double restart_s) {
  if (slots_.empty()) runs_.push_back({now_s, now_s});
  slots_ = slots;
  unchanged_s_ = 0;
  standing_s_ = 0;
  if (slots.empty()) return;
  standing_s_ = restart_s;
  ++restarts_;
}

double SlotUse::stand(double seconds) {
  const double stood = std::min(standing_s_, seconds);
  standing_s_ -= stood;
  return stood;
}

void SlotUse::add_round(double from_s, double seconds, double held_s) {
  run_s_ += seconds;
  runs_.back().to_s = from_s + seconds;
  unchanged_s_ += seconds;
  attained_slot_s_ += held_s * static_cast<double>(slots_.size());
}

void SlotUse::describe(scheduler::ElasticJob& job) const {
  job.slots = slots_;
  job.runs = runs_;
  job.run_s = run_s_;
  job.attained_slot_s = attained_slot_s_;
  job.restarts = restarts_;
  job.standing_s = standing_s_;
  job.unchanged_s = unchanged_s_;
}

}  // namespace ds::simulator
