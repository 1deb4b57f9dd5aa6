#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policy/planner.hpp"

namespace ds::scheduler {

/// What a plan that is made now does with a job, and to others for it.
struct WhatIf {
  bool could_ever_start = true;                 ///< see `Planner`
  std::vector<Placement> placements;            ///< of its workers; none: it waits
  std::vector<Reason> reasons;                  ///< why it waits, as `Planner::explain` says; none: it starts
  bool room_is_coming = false;                  ///< it waits only for workers of others to be gone
  std::vector<std::string> preempted;           ///< jobs that lose all their workers to it
  std::vector<Relocation> relocated;            ///< workers that go to other nodes for it
  std::map<std::string, std::uint32_t> shrunk;  ///< workers that others lose, and would keep without it
  bool operator==(const WhatIf&) const = default;
};

/// A job that a planner knows of while this lives, as if it had been submitted, or resumed: what it plans
/// meanwhile is what it would plan then. Afterwards it plans what it would have planned without. One at a
/// time.
///
/// Costs as much as some plans of one event each, whatever there is.
class TrialJob {
 public:
  /// `demand.job` is the name of no job, or of one that has no workers but such as are stopping. The planner
  /// must outlive this, and is told nothing else meanwhile.
  TrialJob(Planner& planner, Demand demand);
  ~TrialJob();
  TrialJob(const TrialJob&) = delete;
  TrialJob& operator=(const TrialJob&) = delete;

  WhatIf what_if(std::span<const PastUse> past, std::int64_t now_ms);

 private:
  void count_shrunk(const Plan& with, std::span<const PastUse> past, std::int64_t now_ms, WhatIf& found);

  Planner& planner_;
  const Demand demand_;
  const ToldJob before_;  ///< without it
};

}  // namespace ds::scheduler
