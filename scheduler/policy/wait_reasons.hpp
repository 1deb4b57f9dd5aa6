#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// How many jobs a reason names at most.
inline constexpr std::size_t kMaxBlockingJobs = 20;

/// What a waiting job was compared with.
struct WaitFacts {
  std::uint32_t workers = 0;                ///< it has
  std::uint32_t needed = 1;                 ///< it must have to run
  std::uint32_t slots = 1;                  ///< a worker
  std::uint64_t memory_bytes = 0;           ///< a worker
  std::uint64_t fitting_now = 0;            ///< workers that could be added now
  std::uint64_t fitting_now_by_slots = 0;   ///< the same if memory did not count
  std::uint64_t fitting_ever = 0;           ///< workers it could have if it were alone on the available nodes
  std::uint64_t fitting_ever_by_slots = 0;  ///< the same if memory did not count
  std::uint64_t fitting_undrained = 0;      ///< workers it could have alone, with all nodes available
  std::uint64_t free_slots = 0;             ///< on available nodes
  std::uint64_t total_slots = 0;            ///< on available nodes
  std::uint64_t releasing = 0;              ///< workers of other jobs that are stopping
  std::size_t available_nodes = 0;
  std::size_t unavailable_nodes = 0;
  bool held = false;
  bool room_is_coming = false;         ///< it starts when those that are stopping are gone
  std::size_t too_young = 0;           ///< less urgent jobs that will have run for `kMinimumRun` soon
  std::span<const std::string> ahead;  ///< jobs that wait and keep this one from starting
  std::size_t ahead_by_priority =
      0;  ///< those of them that are more urgent, the others are submitted earlier
  std::vector<std::string> occupants;  ///< other jobs with workers on available nodes, the first few by name
};

/// Why the job waits, the most decisive first; at least one reason.
std::vector<Reason> explain_wait(const WaitFacts& facts);

}  // namespace ds::scheduler
