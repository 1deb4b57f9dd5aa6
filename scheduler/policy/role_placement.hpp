#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// Processes of a job besides its workers, such as parameter servers.
struct RoleDemand {
  std::string job;
  Role role = Role::server;
  std::uint32_t count = 0;
};

struct RolePlacement {
  std::string job;
  Role role = Role::server;
  std::string node;
  bool operator==(const RolePlacement&) const = default;
};

/// Where the processes that are missing go.
///
/// They take no slots, and their memory is not counted, so they always fit; a job gets them once it has a
/// worker or is placed one. One after the other goes to the available node with the fewest of the same job
/// and role (so that copies die apart), of equals where the job has the most workers, else the first in the
/// list. `leases` include the workers that were placed just now. Pure: equal input, equal answer.
std::vector<RolePlacement> place_roles(std::span<const NodeView> nodes, std::span<const Lease> leases,
                                       std::span<const RoleDemand> demands);

}  // namespace ds::scheduler
