#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <set>
#include <vector>

#include "scheduler/policy/rollout.hpp"

namespace ds::scheduler {

/// Workers of a job that a head knows something of.
struct KnownReplicas {
  std::set<std::uint64_t> ready;
  std::set<std::uint64_t> unheard;  ///< were ready for a former head and have not come back yet

  /// The job's members, from which the next head knows who was ready: also for the one before this.
  std::vector<std::uint64_t> members() const {
    std::vector<std::uint64_t> all;
    std::ranges::set_union(ready, unheard, std::back_inserter(all));
    return all;
  }

  RolloutReplica::State state_of(std::uint64_t worker) const {
    using State = RolloutReplica::State;
    return ready.contains(worker)     ? State::ready
           : unheard.contains(worker) ? State::unheard
                                      : State::starting;
  }
};

}  // namespace ds::scheduler
