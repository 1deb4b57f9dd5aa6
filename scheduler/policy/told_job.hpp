#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// All that a planner is told of a job. Without a demand it has ended, or may have no workers.
struct ToldJob {
  std::string job;
  std::optional<Demand> demand;
  std::vector<Lease> leases;
};

}  // namespace ds::scheduler
