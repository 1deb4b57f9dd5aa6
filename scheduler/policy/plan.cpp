#include "scheduler/policy/plan.hpp"

#include <algorithm>
#include <queue>
#include <string>
#include <tuple>
#include <vector>

#include "scheduler/policy/gang_planner.hpp"

namespace ds::scheduler {
namespace {

using Job = GangPlanner::Job;

/// Feasible jobs that wait, the most urgent first: those behind them do not start.
struct Line {
  std::vector<std::string> jobs;
  std::vector<std::uint32_t> priorities;

  std::size_t count_above(std::uint32_t priority) const {
    const auto end = std::partition_point(priorities.begin(), priorities.end(),
                                          [&](std::uint32_t one) { return one > priority; });
    return static_cast<std::size_t>(end - priorities.begin());
  }
};

/// Gives the job its minimum, or a reason why not.
void serve_minimum(GangPlanner& planner, Job& job, Line& ahead) {
  if (job.workers >= job.needed) return;
  const std::uint32_t missing = job.needed - job.workers;
  if (job.demand->held || !planner.is_feasible(job)) {
    // It keeps nobody else from starting: its time is not known, and it may never come.
    planner.wait(job, planner.facts_of(job));
    return;
  }
  // A started job is not kept back by those ahead: they may be waiting for the very workers that it has.
  const bool is_behind = job.workers == 0 && !ahead.jobs.empty();
  if (!is_behind && planner.place(job, missing)) return;
  WaitFacts facts = planner.facts_of(job);  // as they are before room is made, which is not free yet
  if (is_behind) {
    facts.ahead = ahead.jobs;
    facts.ahead_by_priority = ahead.count_above(job.demand->priority);
  } else {
    facts.too_young = planner.count_too_young(job);
    facts.room_is_coming = planner.make_room(job, missing);
    facts.releasing = planner.count_releasing();
  }
  planner.wait(job, facts);
  ahead.jobs.push_back(job.demand->job);
  ahead.priorities.push_back(job.demand->priority);
}

/// Adds workers above the minimum, one at a time: to the most urgent started job, of equals to the one with
/// the fewest.
void grow(GangPlanner& planner) {
  struct Later {
    bool operator()(const Job* a, const Job* b) const {
      return std::tuple(a->demand->priority, b->workers, b) < std::tuple(b->demand->priority, a->workers, a);
    }
  };
  std::priority_queue<Job*, std::vector<Job*>, Later> growing;
  for (Job& job : planner.jobs()) {
    // A job that has just been shrunk would get back what it gave.
    if (job.workers >= job.needed && !job.demand->held && !job.was_shrunk) growing.push(&job);
  }
  while (!growing.empty()) {
    Job* next = growing.top();
    growing.pop();
    if (next->workers < next->demand->workers.max && planner.place(*next, 1)) growing.push(next);
  }
}

}  // namespace

Plan plan_jobs(std::span<const NodeView> nodes, std::span<const Lease> leases,
               std::span<const Demand> demands) {
  GangPlanner planner(nodes, leases, demands);
  Line ahead;
  for (Job& job : planner.jobs()) serve_minimum(planner, job, ahead);
  grow(planner);
  return planner.take_plan();
}

}  // namespace ds::scheduler
