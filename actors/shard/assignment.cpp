#include "actors/shard/assignment.hpp"

#include <cstddef>
#include <tuple>

#include "actors/data/random_stream.hpp"

namespace ds::shard {
namespace {

/// How much a shard wants a rank.
std::uint64_t wish_of(std::uint64_t shard, std::uint32_t rank) {
  return data::RandomStream(shard, data::Stream::shard_choice, {rank}).bits(0);
}

}  // namespace

std::vector<std::uint64_t> assign_ranks(std::uint32_t logical_ranks, std::span<const std::uint64_t> shards) {
  if (shards.empty()) return {};
  const std::size_t most = (logical_ranks + shards.size() - 1) / shards.size();
  std::vector<std::size_t> loads(shards.size());
  std::vector<std::uint64_t> owners(logical_ranks);
  for (std::uint32_t rank = 0; rank < logical_ranks; ++rank) {
    std::size_t chosen = shards.size();
    std::uint64_t wish = 0;
    for (std::size_t i = 0; i < shards.size(); ++i) {
      if (loads[i] == most) continue;
      const std::uint64_t its = wish_of(shards[i], rank);
      if (chosen < shards.size() && std::tie(its, shards[i]) < std::tie(wish, shards[chosen])) continue;
      chosen = i;
      wish = its;
    }
    ++loads[chosen];
    owners[rank] = shards[chosen];
  }
  return owners;
}

}  // namespace ds::shard
