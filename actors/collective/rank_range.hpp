#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ds::collective {

/// Contiguous ranks [first, last), logical or not.
struct RankRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint32_t size() const { return last - first; }
  bool operator==(const RankRange&) const = default;
};

/// Cuts `logical_ranks` into `world_size` contiguous ranges whose sizes differ by one at most; rank order.
/// Pure.
std::vector<RankRange> assign_logical_ranks(std::uint32_t logical_ranks, std::uint32_t world_size);

/// Elements [first, last) of a vector.
struct Slice {
  std::size_t first = 0;
  std::size_t last = 0;
  std::size_t size() const { return last - first; }
  bool operator==(const Slice&) const = default;
};

/// The part of a vector of `elements` elements that is member `rank`'s: sizes differ by one at most, the
/// longer ones come first. Pure.
constexpr Slice slice_of(std::size_t elements, std::uint32_t world_size, std::uint32_t rank) {
  const auto cut = [&](std::size_t at) {
    return elements / world_size * at + (elements % world_size < at ? elements % world_size : at);
  };
  return {cut(rank), cut(rank + std::size_t{1})};
}

}  // namespace ds::collective
