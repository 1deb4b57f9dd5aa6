#include "actors/serving/pick_replica.hpp"

#include <algorithm>

namespace ds::serving {
namespace {

bool may_serve(const ReplicaView& replica, std::uint64_t version) {
  return replica.is_ready && !replica.is_draining && replica.version == version;
}

}  // namespace

std::optional<std::uint64_t> pick_replica(std::span<const ReplicaView> replicas, std::uint64_t version,
                                          std::span<const std::uint64_t> tried, std::uint64_t random) {
  const auto may_take = [&](const ReplicaView& replica) {
    return may_serve(replica, version) && std::ranges::find(tried, replica.id) == tried.end();
  };
  const auto count = static_cast<std::uint64_t>(std::ranges::count_if(replicas, may_take));
  if (count == 0) return std::nullopt;
  const std::uint64_t first = random % count;
  std::uint64_t second = first;
  if (count > 1) {
    second = random / count % (count - 1);
    if (second >= first) ++second;
  }
  const ReplicaView *one = nullptr, *other = nullptr;
  std::uint64_t at = 0;
  for (const ReplicaView& replica : replicas) {
    if (!may_take(replica)) continue;
    if (at == first) one = &replica;
    if (at == second) other = &replica;
    ++at;
  }
  return other->outstanding < one->outstanding ? other->id : one->id;
}

}  // namespace ds::serving
