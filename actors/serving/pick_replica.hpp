#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace ds::serving {

/// What a router knows of a replica.
struct ReplicaView {
  std::uint64_t id = 0;
  std::uint64_t version = 1;      ///< of the model
  std::uint32_t outstanding = 0;  ///< requests sent to it and not answered
  bool is_ready = false;
  bool is_draining = false;  ///< gets nothing new
  bool operator==(const ReplicaView&) const = default;
};

/// The less loaded of two replicas of the version that are ready, not draining and not among the `tried`,
/// which `random` chooses (Mitzenmacher, IEEE TPDS 2001): near to the least loaded of all, and unlike it no
/// crowd runs to one replica when many routers know the same stale figures. None: there is none. `random` is
/// uniform over 64 bits. Pure.
std::optional<std::uint64_t> pick_replica(std::span<const ReplicaView> replicas, std::uint64_t version,
                                          std::span<const std::uint64_t> tried, std::uint64_t random);

}  // namespace ds::serving
