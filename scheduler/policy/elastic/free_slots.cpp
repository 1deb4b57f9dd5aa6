#include "scheduler/policy/elastic/free_slots.hpp"

#include <algorithm>
#include <cassert>

namespace ds::scheduler {

void FreeSlots::take(const Slots& slots) {
  for (const std::uint32_t node : slots) {
    assert(free_[node] > 0);
    --free_[node];
  }
  total_ -= static_cast<std::uint32_t>(slots.size());
}

bool FreeSlots::fits(const Slots& slots) const {
  for (std::size_t first = 0; first < slots.size();) {
    std::size_t end = first;
    while (end < slots.size() && slots[end] == slots[first]) ++end;
    if (slots[first] >= free_.size() || free_[slots[first]] < end - first) return false;
    first = end;
  }
  return true;
}

void FreeSlots::take_from(std::uint32_t node, std::uint32_t count, Slots& into) {
  into.insert(into.end(), count, node);
  free_[node] -= count;
  total_ -= count;
}

Slots FreeSlots::take_emptiest(std::uint32_t count) {
  assert(count <= total_);
  Slots taken;
  while (taken.size() < count) {
    const auto node = std::max_element(free_.begin(), free_.end());
    take_from(static_cast<std::uint32_t>(node - free_.begin()),
              std::min(*node, count - static_cast<std::uint32_t>(taken.size())), taken);
  }
  return taken;
}

Slots FreeSlots::take_packed(std::uint32_t count) {
  assert(count <= total_);
  Slots taken;
  while (taken.size() < count) {
    const std::uint32_t left = count - static_cast<std::uint32_t>(taken.size());
    std::size_t best = free_.size();
    for (std::size_t node = 0; node < free_.size(); ++node) {
      if (free_[node] >= left && (best == free_.size() || free_[node] < free_[best])) best = node;
    }
    if (best == free_.size())
      best = static_cast<std::size_t>(std::max_element(free_.begin(), free_.end()) - free_.begin());
    take_from(static_cast<std::uint32_t>(best), std::min(free_[best], left), taken);
  }
  std::stable_sort(taken.begin(), taken.end());
  return taken;
}

FreeByKind::FreeByKind(const ElasticCluster& cluster) : node_kinds_(cluster.kinds) {
  for (std::uint32_t kind = 0; kind < cluster.count_kinds(); ++kind) {
    ElasticCluster of_kind = cluster;
    for (std::size_t node = 0; node < of_kind.slots.size(); ++node) {
      if (cluster.kind_of(node) != kind) of_kind.slots[node] = 0;
    }
    by_kind_.emplace_back(of_kind);
  }
}

void FreeByKind::take(const Slots& slots) {
  if (!slots.empty()) by_kind_[kind_of(slots)].take(slots);
}

std::vector<std::uint32_t> FreeByKind::totals() const {
  std::vector<std::uint32_t> totals;
  for (const FreeSlots& of_kind : by_kind_) totals.push_back(of_kind.total());
  return totals;
}

std::size_t FreeByKind::emptiest() const {
  const auto most =
      std::max_element(by_kind_.begin(), by_kind_.end(),
                       [](const FreeSlots& a, const FreeSlots& b) { return a.total() < b.total(); });
  return static_cast<std::size_t>(most - by_kind_.begin());
}

}  // namespace ds::scheduler
