#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/planner.hpp"

namespace ds::scheduler {

/// Names of nodes.
using NodeNames = std::set<std::string, std::less<>>;

/// A plan for a cluster in which workers must leave where they are, whoever waits.
struct PlanWithDepartures {
  std::vector<Release> departures;   ///< before the plan's own releases
  std::vector<std::string> stopped;  ///< jobs that lose all their workers with them and are not preempted
  std::vector<Release> over_quota;   ///< of the departures: `release_over_quota`
  Plan plan;
};

/// What jobs have from whom workers may have to leave.
struct MayDepart {
  std::vector<Lease> leases;  ///< all of theirs
  std::vector<Demand> demands;
  NodeNames drained;
  /// Where a queue may have more than it may now: then `leases` and `demands` are those of all jobs.
  const TenantTree* over_quota = nullptr;
};

/// What the planner plans, beside which all workers on `drained` nodes leave, and those that a job has beyond
/// its maximum, the newest first; and then those that queues have beyond what they may
/// (`release_over_quota`).
///
/// A gang that still has its minimum elsewhere shrinks, and grows again where there is room. One that has not
/// moves if what it lacks fits elsewhere now and is allowed by its quota: those that leave stay with their
/// state until the newcomers have it. It stays where it is as long as the plan makes room for it elsewhere:
/// as long as workers are stopping. Otherwise the rest of it leaves too, so that no broken gang holds slots:
/// its state is saved, and it starts whole when its turn comes. An operator's drain is no matter of
/// priorities: neither `preemptible: false` nor a minimum run time keep a worker there. Drained nodes must
/// not be available. Afterwards the planner knows what it knew before. Costs what the jobs have that are
/// looked at, and as much as a plan. Of its jobs that plan has no `waits`.
PlanWithDepartures plan_with_departures(Planner& planner, MayDepart may_depart, std::span<const PastUse> past,
                                        std::int64_t now_ms);

/// The same told all at once, as `plan_jobs` is; with `waits`. Pure: equal input, equal plan.
PlanWithDepartures plan_with_departures(std::span<const NodeView> nodes, std::vector<Lease> leases,
                                        std::span<const Demand> demands, const TenantTree& tenants,
                                        std::span<const PastUse> past, const NodeNames& drained,
                                        std::int64_t now_ms = 0);

/// The parameter server that may leave its drained node now; none: none may.
///
/// One after another, and only when all `wanted` servers of the job are in its newest generation, so that
/// what this one holds is held by another too (if ranges are held twice), from where a new one gets it.
/// `leases`: of the job. `servers`: of its newest generation.
std::optional<std::uint64_t> choose_departing_server(std::span<const Lease> leases,
                                                     std::span<const std::uint64_t> servers,
                                                     std::uint32_t wanted, const NodeNames& drained);

}  // namespace ds::scheduler
