#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/plan.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

class Planning;

struct LastingPlan {
  Plan plan;
  std::set<std::string> kept;  ///< those that don't grow in it, though they would
};

/// Lets jobs grow, and ends the plan: without the growth after which the next one would take workers from
/// somebody for others though that leads to nobody's start: that of those who would lose them, and what was
/// taken from them in the same plan for who grows too; or all. So plans come to rest, see `plan_jobs`.
///
/// `planning`: a plan of `planner` whose minimums are served. Costs a plan, where nobody starts in it and
/// jobs wait or tenants share the cluster, and some more where the next one takes workers.
LastingPlan finish_with_lasting_growth(GangPlanner& planner, const TenantTree& tenants,
                                       std::span<const PastUse> past, std::int64_t now_ms,
                                       Planning& planning);

/// Likewise with workers that change jobs for the sake of shares (`SizeChange::because`): takes out those
/// moves after which the next plan would give the giver some back. The shares alone don't say that: whose
/// guarantee has room comes first, and what is too little for a large worker does for a small one. Costs a
/// plan, and up to some dozens more where it finds any. `kept`: who does not grow already.
void keep_lasting_moves(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past,
                        std::int64_t now_ms, Plan& plan, std::set<std::string> kept);

}  // namespace ds::scheduler
