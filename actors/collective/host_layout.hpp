#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/collective/rank_range.hpp"

namespace ds::collective {

/// Which ranks share a host: one range a host, in rank order.
///
/// Ranks with the same identity do; one without (empty) is alone. Nothing when some host's ranks are not
/// contiguous: then no host can fold what is its own along the tree. Pure.
std::optional<std::vector<RankRange>> group_hosts(std::span<const std::string> identities);

/// Of this process: the machine's boot, its network namespace and the user. Only a hint that shared memory
/// may work; members find out by connecting. Empty when the system does not say.
std::string local_host_identity();

}  // namespace ds::collective
