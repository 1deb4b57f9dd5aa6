#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/plan.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

class Planning;

/// What was found to be preempted in vain when a plan was looked for.
struct InVain {
  struct Tried {
    std::set<std::string> spared = {};  ///< jobs that are not preempted for this one
    std::vector<Reason> why = {};       ///< with those gone it would wait for these; empty: not known
    int times = 0;
  };
  std::map<std::string, Tried> jobs = {};  ///< by those for whom it was done
  std::set<std::string> nobody_for = {};   ///< for these nobody is preempted
  bool is_given_up = false;                ///< nor for any that have no promise
  bool may_preempt(const GangJob& job) const {
    return !nobody_for.contains(job.demand.job) && (!is_given_up || job.demand.has_promise);
  }
  const Tried* find(const GangJob& job) const {
    const auto found = jobs.find(job.demand.job);
    return found == jobs.end() ? nullptr : &found->second;
  }
};

/// Begins a plan: serves minimums, and starts what may be behind those that wait. Among tenants nobody is
/// preempted for a job that would not start by the next plans, with all gone that is releasing: whose turn it
/// is depends on what others have, and so on who was preempted, and they would come back (see `plan_jobs`).
/// Where it was in vain others are tried; where all are, the job preempts nobody. Those with a promise are
/// not asked: they come first anyway.
///
/// Costs a plan; where anybody is preempted three, and some more where room is made for others before, or it
/// was in vain: some `kMaxPlansLookedAt` at most. `is_asked`: as in `Planning`. The plan is not ended.
std::unique_ptr<Planning> serve_lastingly(GangPlanner& planner, const TenantTree& tenants,
                                          std::span<const PastUse> past, std::int64_t now_ms,
                                          bool is_asked = false);

/// After so many plans that were looked at for one, nobody without a promise preempts anybody in it.
inline constexpr int kMaxPlansLookedAt = 64;

}  // namespace ds::scheduler
