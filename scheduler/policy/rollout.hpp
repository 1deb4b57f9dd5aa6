#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace ds::scheduler {

/// How many replicas of which version of a model.
using VersionCounts = std::map<std::uint64_t, std::uint32_t>;

/// A version and its part of the requests.
struct VersionShare {
  std::uint64_t version = 0;
  std::uint32_t share = 100;  ///< of the sum of all
  bool operator==(const VersionShare&) const = default;
};

/// A replica that has not been told to leave.
struct RolloutReplica {
  enum class State {
    starting,  ///< it has never been ready
    unheard,   ///< it was, and has not said so again to this head
    ready,
  };
  std::uint64_t worker = 0, version = 0;
  State state = State::starting;
  bool operator==(const RolloutReplica&) const = default;
};

/// A part of the requests that goes from one version to another.
struct VersionMove {
  std::uint64_t version = 0, former = 0;
};

// A model's replicas move from one version to another, one by one. The next to come is started with what
// `most_replicas` allows, is of `next_version`, and those that `choose_leaving` names leave; again at every
// change. All pure.

/// The replicas of each version by its share, at least one of each: more than `replicas` where these are
/// fewer than the versions. With 0 there are none.
VersionCounts share_replicas(std::span<const VersionShare> shares, std::uint32_t replicas);

/// So many there may be at once: as many as are wanted, and one more while some of those that there are
/// must go.
std::uint32_t most_replicas(const VersionCounts& wanted, const VersionCounts& there);

/// Of which version the next one is: the one that lacks most, of equals the newest; 0: none is wanted.
std::uint64_t next_version(const VersionCounts& wanted, const VersionCounts& there);

/// Who leaves now, of those that are of no use for `wanted`.
///
/// One that is ready leaves only when as many as are wanted stay ready without it, so that whoever moves the
/// versions takes no replica from the requests. Where nothing is free for one more (`has_room`: no) one
/// leaves first while all are ready, but never the last; whoever asks doesn't say so again until another has
/// come. Those that only start leave at once, and those beyond `most_replicas`, which happens when fewer are
/// wanted than a moment ago.
///
/// The last ready replica of a version that one of `moves` comes from stays until one is ready of the version
/// it goes to, unless there are more than are wanted and none more may come.
std::vector<std::uint64_t> choose_leaving(const VersionCounts& wanted,
                                          std::span<const RolloutReplica> replicas, bool has_room,
                                          std::span<const VersionMove> moves = {});

}  // namespace ds::scheduler
