#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// A job's minimum, as far as guarantees go.
struct MinimumClaim {
  std::size_t queue = 0;
  std::uint64_t slots = 0;
  bool may_run = true;  ///< false: it claims nothing, because it can't run now whatever is free
};

/// At how many levels of the tree, counted from the root, a job's minimum is within guaranteed slots.
///
/// `claims` are in the order in which the jobs of a queue are served. A leaf's guaranteed slots go to its
/// first jobs, up to the first that they are not enough for; what a queue is guaranteed beyond its children's
/// goes to the first of the others below it, likewise. So a job that is within its leaf's guarantee is within
/// those of all queues above, and of two jobs of a leaf the earlier is guaranteed at no fewer levels. The
/// answer depends on what jobs there are and not on what runs: that is what lets reclaiming never go in
/// circles (see `plan_jobs`). Pure.
std::vector<std::size_t> count_guaranteed_levels(const TenantTree& tree,
                                                 std::span<const MinimumClaim> claims);

}  // namespace ds::scheduler
