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
  Ask ask;                  ///< for what its minimum lacks
  std::vector<Room> freed;  ///< by node
  QueueUse use;
  std::int64_t fitting = 0;  ///< pieces
  std::int64_t owed = 0;     ///< pieces at most that have no room where others will be who come first
  std::map<const Job*, std::map<std::size_t, std::uint32_t>> taken{};  ///< workers that have gone before

  bool has_room() const { return fitting - owed >= static_cast<std::int64_t>(ask.pieces); }
};

}  // namespace ds::scheduler
