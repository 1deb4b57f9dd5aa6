#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ds::shard {

/// Which shard makes the batches of each logical rank: its number, by rank; empty when there is no shard.
///
/// Every rank has one, no shard has more than its share (rounded up), and few ranks move when a shard comes
/// or goes: rendezvous hashing (Thaler, Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996) with
/// the loads bounded (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018). Pure;
/// the order of `shards` does not matter, each is in it once. Takes ranks x shards steps.
std::vector<std::uint64_t> assign_ranks(std::uint32_t logical_ranks, std::span<const std::uint64_t> shards);

}  // namespace ds::shard
