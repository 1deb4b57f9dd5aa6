#pragma once

#include <cstdint>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::simulator {

/// The slots of a simulated job and what it has had of them. Seconds of the trace.
class SlotUse {
 public:
  explicit SlotUse(double restart_s) : restart_s_(restart_s) {}

  const scheduler::Slots& slots() const { return slots_; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(slots_.size()); }

  double standing_s() const { return standing_s_; }  ///< how long it still stands still
  /// Other slots from now on, which it begins by standing still; none: it is stopped.
  void give(const scheduler::Slots& slots, double now_s) { give(slots, now_s, restart_s_); }
  void give(const scheduler::Slots& slots, double now_s, double restart_s);
  /// It has to stand still for so long, in place of what was left of that, now or when it has slots again.
  void owe(double standing_s) { standing_s_ = standing_s; }
  /// How many of the next `seconds` it still stands still, which are then over.
  double stand(double seconds);
  /// It had its slots for a round from `from_s` on, and held them for `held_s` of it, until it was done.
  void add_round(double from_s, double seconds, double held_s);

  /// Fills in the fields of `job` that are about slots. They refer to this.
  void describe(scheduler::ElasticJob& job) const;

 private:
  double restart_s_;
  scheduler::Slots slots_;
  double standing_s_ = 0;
  double unchanged_s_ = 0;
  double run_s_ = 0;
  std::vector<scheduler::RunSpan> runs_;
  double attained_slot_s_ = 0;
  std::uint32_t restarts_ = 0;
};

}  // namespace ds::simulator
