#include "scheduler/policy/capacity.hpp"

#include <algorithm>
#include <limits>

namespace ds::scheduler {
namespace {

/// So many sizes are counted while nodes change; each change costs that many.
constexpr std::size_t kMaxSizes = 64;

std::uint64_t subtract_or_zero(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

}  // namespace

WorkerSize worker_size(std::uint32_t slots, std::uint64_t memory_bytes) {
  return {slots, std::min(memory_bytes, kMaxMemoryBytes + 1)};
}

std::uint64_t count_fitting(const Room& room, const WorkerSize& size) {
  std::uint64_t count = std::numeric_limits<std::uint32_t>::max();
  if (size.slots > 0) count = std::min(count, room.slots / size.slots);
  if (size.memory_bytes > 0) count = std::min(count, room.memory_bytes / size.memory_bytes);
  return count;
}

Capacity::Capacity(std::vector<NodeView> nodes)
    : nodes_(std::move(nodes)), now_(nodes_.size()), later_(nodes_.size()) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    index_.emplace(nodes_[i].id, i);
    if (!nodes_[i].available) continue;
    const Room room = total(i);
    by_room_.emplace(room.slots, room.memory_bytes, i);
    placeable_slots_ += room.slots;
  }
}

std::size_t Capacity::index_of(std::string_view node) const {
  const auto found = index_.find(node);
  return found == index_.end() ? kUnknownNode : found->second;
}

Room Capacity::total(std::size_t node) const {
  return {nodes_[node].slots, std::min(nodes_[node].memory_bytes, kMaxMemoryBytes)};
}

Room Capacity::placeable(std::size_t node) const {
  const Room now = free_now(node);
  const Room later = free_later(node);
  return {std::min(now.slots, later.slots), std::min(now.memory_bytes, later.memory_bytes)};
}

Room Capacity::left(std::size_t node, const Used& used) const {
  if (!nodes_[node].available) return {};
  const Room all = total(node);
  return {subtract_or_zero(all.slots, used.slots), subtract_or_zero(all.memory_bytes, used.memory_bytes)};
}

Capacity::Counts Capacity::counts_of(const WorkerSize& size) const {
  const auto known = counts_.find(size);
  if (known != counts_.end()) return known->second;
  if (counts_.size() == kMaxSizes) counts_.clear();
  Counts counts;
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (!nodes_[node].available) continue;
    counts.placeable += count_fitting(placeable(node), size);
    counts.later += count_fitting(free_later(node), size);
  }
  counts_.emplace(size, counts);
  return counts;
}

std::optional<std::size_t> Capacity::fullest_placeable(const WorkerSize& size) const {
  for (auto one = by_room_.lower_bound({size.slots, 0, 0}); one != by_room_.end(); ++one) {
    if (std::get<1>(*one) >= size.memory_bytes) return std::get<2>(*one);
  }
  return std::nullopt;
}

template <class Change>
void Capacity::change(std::size_t node, Change apply) {
  const Room placeable_before = placeable(node), later_before = free_later(node);
  apply();
  if (!nodes_[node].available) return;
  const Room placeable_after = placeable(node), later_after = free_later(node);
  by_room_.erase({placeable_before.slots, placeable_before.memory_bytes, node});
  by_room_.emplace(placeable_after.slots, placeable_after.memory_bytes, node);
  placeable_slots_ += placeable_after.slots - placeable_before.slots;
  for (auto& [size, counts] : counts_) {
    counts.placeable += count_fitting(placeable_after, size) - count_fitting(placeable_before, size);
    counts.later += count_fitting(later_after, size) - count_fitting(later_before, size);
  }
}

void Capacity::use(std::size_t node, const WorkerSize& size, bool now, bool later) {
  const auto add = [&](Used& used) {
    used.slots += size.slots;
    used.memory_bytes += size.memory_bytes;
  };
  change(node, [&] {
    if (now) add(now_[node]);
    if (later) add(later_[node]);
  });
}

void Capacity::free(std::size_t node, const WorkerSize& size, bool now, bool later) {
  const auto subtract = [&](Used& used) {
    used.slots -= size.slots;
    used.memory_bytes -= size.memory_bytes;
  };
  change(node, [&] {
    if (now) subtract(now_[node]);
    if (later) subtract(later_[node]);
  });
}

}  // namespace ds::scheduler
