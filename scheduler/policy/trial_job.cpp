#include "scheduler/policy/trial_job.hpp"

#include <algorithm>
#include <utility>

namespace ds::scheduler {

TrialJob::TrialJob(Planner& planner, Demand demand)
    : planner_(planner), demand_(std::move(demand)), before_(planner.told(demand_.job)) {
  planner_.set_job(demand_.job, demand_, before_.leases);
}

TrialJob::~TrialJob() {
  planner_.set_job(demand_.job, before_.demand, before_.leases);
}

WhatIf TrialJob::what_if(std::span<const PastUse> past, std::int64_t now_ms) {
  const std::string& job = demand_.job;
  Plan plan = planner_.plan(past, now_ms);
  WhatIf found;
  found.could_ever_start = planner_.could_ever_start(job);
  for (const Preemption& preemption : plan.preemptions) {
    if (preemption.by == job) found.preempted.push_back(preemption.job);
  }
  std::ranges::copy_if(plan.relocations, std::back_inserter(found.relocated),
                       [&](const Relocation& one) { return one.by == job; });
  if (!plan.releases.empty()) count_shrunk(plan, past, now_ms, found);
  std::ranges::copy_if(plan.placements, std::back_inserter(found.placements),
                       [&](const Placement& one) { return one.job == job; });
  if (!found.placements.empty()) return found;
  auto waits = planner_.explain(std::span(&job, 1), past, now_ms);
  if (waits.empty()) return found;
  found.reasons = std::move(waits.front().reasons);
  found.room_is_coming = waits.front().room_is_coming;
  return found;
}

/// Some may be shrunk anyway: for others that wait, or because they are better off.
void TrialJob::count_shrunk(const Plan& with, std::span<const PastUse> past, std::int64_t now_ms,
                            WhatIf& found) {
  planner_.set_job(demand_.job, before_.demand, before_.leases);
  const Plan without = planner_.plan(past, now_ms);
  planner_.set_job(demand_.job, demand_, before_.leases);
  std::map<std::string, std::int64_t> more;
  const auto add = [&](const Plan& plan, std::int64_t sign) {
    for (const Release& release : plan.releases) more[release.job] += sign;
    for (const Relocation& one : plan.relocations) more[one.job] -= one.has_begun ? sign : 0;
  };
  add(with, 1);
  add(without, -1);
  for (const Preemption& preemption : with.preemptions) more.erase(preemption.job);
  for (const auto& [job, count] : more) {
    if (count > 0) found.shrunk.emplace(job, static_cast<std::uint32_t>(count));
  }
}

}  // namespace ds::scheduler
