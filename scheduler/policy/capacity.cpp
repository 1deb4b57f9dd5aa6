#include "scheduler/policy/capacity.hpp"

#include <algorithm>
#include <limits>

namespace ds::scheduler {
namespace {

std::uint64_t add_or_max(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum < a ? std::numeric_limits<std::uint64_t>::max() : sum;
}

std::uint64_t subtract_or_zero(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

}  // namespace

std::uint64_t count_fitting(const Room& room, const WorkerSize& size) {
  std::uint64_t count = std::numeric_limits<std::uint32_t>::max();
  if (size.slots > 0) count = std::min(count, room.slots / size.slots);
  if (size.memory_bytes > 0) count = std::min(count, room.memory_bytes / size.memory_bytes);
  return count;
}

Capacity::Capacity(std::span<const NodeView> nodes, std::span<const Lease> leases)
    : nodes_(nodes), now_(nodes.size()), later_(nodes.size()) {
  for (std::size_t i = 0; i < nodes.size(); ++i) index_.emplace(nodes[i].id, i);
  for (const Lease& lease : leases) {
    const std::size_t node = index_of(lease.node);
    if (node == kUnknownNode) continue;
    const WorkerSize size{lease.slots, lease.memory_bytes};
    add(now_[node], size);
    if (!lease.releasing) add(later_[node], size);
  }
}

std::size_t Capacity::index_of(std::string_view node) const {
  const auto found = index_.find(node);
  return found == index_.end() ? kUnknownNode : found->second;
}

Room Capacity::total(std::size_t node) const {
  return {nodes_[node].slots, nodes_[node].memory_bytes};
}

Room Capacity::placeable(std::size_t node) const {
  const Room now = free_now(node);
  const Room later = free_later(node);
  return {std::min(now.slots, later.slots), std::min(now.memory_bytes, later.memory_bytes)};
}

void Capacity::place(std::size_t node, const WorkerSize& size) {
  add(now_[node], size);
  add(later_[node], size);
}

void Capacity::reserve(std::size_t node, const WorkerSize& size) {
  add(later_[node], size);
}

void Capacity::release(std::size_t node, const WorkerSize& size) {
  later_[node].slots = subtract_or_zero(later_[node].slots, size.slots);
  later_[node].memory_bytes = subtract_or_zero(later_[node].memory_bytes, size.memory_bytes);
}

Room Capacity::left(std::size_t node, const Used& used) const {
  if (!nodes_[node].available) return {};
  const Room all = total(node);
  return {subtract_or_zero(all.slots, used.slots), subtract_or_zero(all.memory_bytes, used.memory_bytes)};
}

void Capacity::add(Used& used, const WorkerSize& size) {
  used.slots = add_or_max(used.slots, size.slots);
  used.memory_bytes = add_or_max(used.memory_bytes, size.memory_bytes);
}

}  // namespace ds::scheduler
