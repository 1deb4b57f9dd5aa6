#pragma once

#include <cstddef>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler::testing {

/// What was seen of the cases that a property is about.
struct Overtaking {
  std::size_t overtakers = 0, kept_beside_idle = 0, kept_moments = 0, together = 0, spread = 0,
              beside_gpus = 0;
};

/// The most urgent in the line starts when it fits; those behind it start when they do not delay it, and
/// otherwise don't.
/// Whether for some set of jobs that end, each as a whole, `first` has its minimum without these placements
/// and not with them. All sets are tried. What jobs have above their minimum counts as gone where `first` may
/// take it, else it ends with the rest; what is releasing is gone.
bool is_ever_in_the_way(const ClusterModel& cluster, const Demand& first, const std::vector<Placement>& more);

void expect_the_line_kept(const ClusterModel& cluster, const Plan& whole, Overtaking& seen);

}  // namespace ds::scheduler::testing
