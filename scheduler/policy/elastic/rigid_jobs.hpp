#pragma once

#include <span>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::scheduler {

/// Gives rigid jobs what they asked for or nothing, so that the average one ends soon, the last one too, and
/// none waits out of proportion to its length.
///
/// First those that have waited out of proportion, the worst one first. Then those whose own time is nearly
/// as long as all work together takes, the longest first, since else they would be alone at the end. All
/// others by the work that is left, the least first (Smith's rule for jobs that may be interrupted), what is
/// left being their owner's plan at the present speed. Who does not fit is passed over. What waits has its
/// restart still to come, so little is gained by stopping a job. One without a plan counts as one that will
/// run as long as it has run. Pure.
std::vector<Slots> plan_rigid_jobs(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                                   double now_s);

}  // namespace ds::scheduler
