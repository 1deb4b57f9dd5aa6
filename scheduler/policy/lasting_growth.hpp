#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/plan.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// Takes out of a plan the growth after which the next one would take workers from somebody for others though
/// that leads to nobody's start: that of those who would lose them, and what was taken from them in the same
/// plan for who grows too; or all. So plans come to rest, see `plan_jobs`.
///
/// `plan`: of `planner`, which has ended it; nobody starts in it. Costs a plan, and some more where the next
/// one takes workers. Those that don't grow now, though they would.
std::set<std::string> keep_lasting_growth(GangPlanner& planner, const TenantTree& tenants,
                                          std::span<const PastUse> past, std::int64_t now_ms, Plan& plan);

/// Likewise with workers that change jobs for the sake of shares (`SizeChange::because`): takes out those
/// moves after which the next plan would give the giver some back. The shares alone don't say that: whose
/// guarantee has room comes first, and what is too little for a large worker does for a small one. Costs a
/// plan, and some more where it finds any. `kept`: who does not grow already.
void keep_lasting_moves(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past,
                        std::int64_t now_ms, Plan& plan, std::set<std::string> kept);

}  // namespace ds::scheduler
