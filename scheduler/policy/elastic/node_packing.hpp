#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"

namespace ds::scheduler {

/// Finds slots for jobs whose numbers of slots are decided, with few jobs split over more nodes than they
/// need and few moved. `counts` has one for each job and they fit the cluster together.
///
/// A job that keeps its number keeps its slots, unless it is split without need or in the way. Multiples of
/// the nodes' size get whole nodes, those that the fewest slots must be moved from; smaller ones, largest
/// first, the fullest node with room, where necessary after jobs smaller than themselves have been moved
/// away. Where sizes don't halve into each other some job may still be split. Pure.
std::vector<Slots> pack_nodes(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                              std::span<const std::uint32_t> counts);

}  // namespace ds::scheduler
