#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "scheduler/policy/gang_planner.hpp"

namespace ds::scheduler {

/// What is left when some gangs have ended: the room that they have given back, and what that is worth to one
/// job.
struct GangPlanner::Aftermath {
  const Job* job;
  std::vector<Room> freed;  ///< by node
  QueueUse use;
  std::int64_t fitting = 0;                                            ///< workers of the job's size
  std::map<const Job*, std::map<std::size_t, std::uint32_t>> taken{};  ///< workers that have gone before
};

}  // namespace ds::scheduler
