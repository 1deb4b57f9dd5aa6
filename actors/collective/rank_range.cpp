#include "actors/collective/rank_range.hpp"

namespace ds::collective {

std::vector<RankRange> assign_logical_ranks(std::uint32_t logical_ranks, std::uint32_t world_size) {
  std::vector<RankRange> ranges;
  std::uint32_t next = 0;
  for (std::uint32_t rank = 0; rank < world_size; ++rank) {
    const std::uint32_t size = logical_ranks / world_size + (rank < logical_ranks % world_size ? 1 : 0);
    ranges.push_back({next, next + size});
    next += size;
  }
  return ranges;
}

}  // namespace ds::collective
