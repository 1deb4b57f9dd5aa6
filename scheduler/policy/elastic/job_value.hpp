#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::scheduler {

/// How many slots a job may be given: halves of a node, whole nodes, and ever larger steps of those, up to
/// `most`. Fewer sizes mean fewer changes.
std::vector<std::uint32_t> list_sizes(std::uint32_t most, std::uint32_t per_node);

/// Numbers of `jobs`, who comes first: in levels by attained work, in seconds on one slot (who has had little
/// is likely to be short), and in each level in the order of submission (equally long jobs end sooner one
/// after the other than side by side).
std::vector<std::size_t> rank_jobs(std::span<const ElasticJob> jobs, std::span<const double> attained_s);

/// What the speed of the job at `place` of that order counts as, from zero.
double rank_weight(std::size_t place, std::size_t jobs);

/// What so many times the speed on one slot is worth: less and less for more.
double speed_value(double speedup);

/// The share of its speed that is left of a change to `slots` when the restart is counted.
double resize_factor(const ElasticCluster& cluster, const ElasticJob& job, std::uint32_t slots);

}  // namespace ds::scheduler
