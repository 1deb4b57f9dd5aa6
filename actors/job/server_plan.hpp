#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "actors/parameters/requests.hpp"

namespace ds::job {

using parameters::HeldRange;

/// A job's parameter servers, as far as they matter here.
struct ServerRules {
  std::uint32_t ranges = 1;
  std::uint32_t copies = 2;  ///< of each range, the primary included
  bool sync = true;
};

/// Who holds which range in a generation.
struct ServerPlan {
  /// Some range is nowhere any more (or never was): the ranges begin empty, and a worker sets them from a
  /// checkpoint or its first state.
  bool fresh = true;
  std::uint64_t step = 0;  ///< sync, not fresh: what every range is brought to before it is copied or used
  std::vector<std::vector<std::uint64_t>> holders;  ///< by range, the primary first
  struct Copy {
    std::uint32_t range = 0;
    std::uint64_t from = 0, to = 0;
    bool operator==(const Copy&) const = default;
  };
  std::vector<Copy> copies;
  bool operator==(const ServerPlan&) const = default;
};

/// Plans from what paused servers hold.
///
/// sync: a step that any range has committed was prepared by every range and its replicas, so all can be
/// brought to the newest committed one; a copy that can't be is dropped. Otherwise the copy with the most
/// shares counts. Copies are on different servers, as many as wanted or as there are servers; holders stay
/// where they are, and primaries are spread. `live`: servers in rising order, at least one. Pure.
ServerPlan plan_servers(const ServerRules& rules, std::span<const std::uint64_t> live,
                        const std::map<std::uint64_t, std::vector<HeldRange>>& held);

}  // namespace ds::job
