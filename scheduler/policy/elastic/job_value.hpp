#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::scheduler {

/// How many slots a job may be given: halves of a node, whole nodes, and ever larger steps of those, up to
/// `most`. Fewer sizes mean fewer changes.
std::vector<std::uint32_t> list_sizes(std::uint32_t most, std::uint32_t per_node);

/// Seconds that `job` takes yet at `speed` of progress a second: to its usual work; where none is known, or
/// it has done more, as long as it has taken (who has had little is likely to be short).
double expect_left_s(const ElasticJob& job, double speed);

/// Numbers of `jobs`, who comes first: in levels by what is likely to be left, in seconds on one slot, and in
/// each level in the order of submission (equally long jobs end sooner one after the other than side by
/// side).
std::vector<std::size_t> rank_jobs(std::span<const ElasticJob> jobs, std::span<const double> left_s);

/// What the speed of the job at `place` of that order counts as, from zero: its place from the end to
/// `power`. With speed-ups of slots^p and known sizes p would be best (heSRPT: Berg, Vesilo and
/// Harchol-Balter, SIGMETRICS 2020).
double rank_weight(std::size_t place, std::size_t jobs, double power);

/// What so many times the speed on one slot is worth: less and less for more.
double speed_value(double speedup);

/// The share of its speed that is left of a change to `slots`, on which it would make `speed` of progress a
/// second, when the restart is counted.
double resize_factor(const ElasticCluster& cluster, const ElasticJob& job, std::uint32_t slots, double speed);

}  // namespace ds::scheduler
