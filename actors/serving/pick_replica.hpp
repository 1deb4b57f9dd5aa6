#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

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

/// Divides requests that name no version among versions by weight.
///
/// Smooth weighted round robin (nginx): of any run of requests as long as the sum of the weights each version
/// gets exactly its weight, and its turns are spread, not in a row. Exact where a hash of the request's id is
/// so only on average; a retry keeps its version because the router remembers it, not because of its id.
class TrafficShares {
 public:
  struct Share {
    std::uint64_t version = 0;
    std::uint32_t weight = 0;  ///< 0: none but what names it
    bool operator==(const Share&) const = default;
  };

  /// At most one share for a version. What was owed is forgotten when the shares change.
  void set(std::vector<Share> shares);
  const std::vector<Share>& shares() const { return shares_; }

  /// The version of the next request. Of versions without a replica that `pick_replica` could choose, the
  /// share goes to the others as long as that is so. None: no version with a weight has one.
  std::optional<std::uint64_t> next(std::span<const ReplicaView> replicas);

 private:
  std::vector<Share> shares_;
  std::vector<std::int64_t> owed_;  ///< beside the shares; their sum is 0
};

}  // namespace ds::serving
