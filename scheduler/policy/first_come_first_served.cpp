#include <algorithm>
#include <string>
#include <vector>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {
namespace {

using Job = GangPlanner::Job;

/// Gives the job its minimum, or a reason why not. `ahead`: feasible jobs submitted earlier that wait.
void serve_minimum(GangPlanner& planner, Job& job, std::vector<std::string>& ahead) {
  if (job.workers >= job.needed) return;
  const std::uint32_t missing = job.needed - job.workers;
  if (job.demand->held || !planner.is_feasible(job)) {
    // It keeps nobody else from starting: its time is not known, and it may never come.
    planner.wait(job, planner.facts_of(job));
    return;
  }
  // A started job is not kept back by those ahead: they may be waiting for the very workers that it has.
  const bool is_behind = job.workers == 0 && !ahead.empty();
  if (!is_behind && planner.place(job, missing)) return;
  WaitFacts facts = planner.facts_of(job);  // as they are before room is made, which is not free yet
  if (is_behind) {
    facts.ahead = ahead;
  } else {
    facts.room_is_coming = planner.make_room(job, missing);
    facts.releasing = planner.count_releasing();
  }
  planner.wait(job, facts);
  ahead.push_back(job.demand->job);
}

/// Adds workers above the minimum, one at a time, to the started job with the fewest.
void grow(GangPlanner& planner) {
  std::vector<Job*> growing;
  for (Job& job : planner.jobs()) {
    // A job that has just been shrunk would get back what it gave.
    if (job.workers >= job.needed && !job.demand->held && !job.was_shrunk) growing.push_back(&job);
  }
  while (!growing.empty()) {
    const auto next = std::min_element(growing.begin(), growing.end(),
                                       [](const Job* a, const Job* b) { return a->workers < b->workers; });
    if ((*next)->workers >= (*next)->demand->workers.max || !planner.place(**next, 1)) growing.erase(next);
  }
}

}  // namespace

Plan plan_first_come_first_served(std::span<const NodeView> nodes, std::span<const Lease> leases,
                                  std::span<const Demand> demands) {
  GangPlanner planner(nodes, leases, demands);
  std::vector<std::string> ahead;
  for (Job& job : planner.jobs()) serve_minimum(planner, job, ahead);
  grow(planner);
  return planner.take_plan();
}

}  // namespace ds::scheduler
