#pragma once

#include <span>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::scheduler {

/// Gives each job slots of one kind of GPU, where there are several kinds.
///
/// Every kind has a price for a slot, and every job takes the kind and number of slots whose value, as `ds`
/// counts it, is most above their price. Prices rise and fall until about as many slots are wanted of each
/// kind as there are (an auction, or Lagrangian relaxation). Then the jobs choose once more in the order of
/// their rank among what is still free, and what is left goes where it adds most.
///
/// That division and the present one are bettered by exchanges, as long as the sum of the values rises: a job
/// takes what is free, or what one other job gives up for less slots, for those of another kind or for none.
/// The one that is worth more is the plan. Jobs have `on_kinds`, none is rigid. Pure.
std::vector<Slots> plan_on_kinds(const ElasticCluster& cluster, std::span<const ElasticJob> jobs);

}  // namespace ds::scheduler
