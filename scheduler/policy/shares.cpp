#include "scheduler/policy/shares.hpp"

#include <algorithm>

namespace ds::scheduler {

Shares::Shares(const TenantTree& tenants, std::span<const PastUse> past, std::uint64_t total_slots,
               std::uint64_t total_memory)
    : tenants_(tenants),
      past_(tenants.queues.size()),
      total_slots_(std::max(1.0, static_cast<double>(total_slots))),
      total_memory_(std::max(1.0, static_cast<double>(total_memory))) {
  ways_.resize(tenants.queues.size());
  for (std::size_t queue = 1; queue < ways_.size(); ++queue) {
    ways_[queue] = ways_[tenants[queue].parent];
    ways_[queue].push_back(queue);
  }
  for (const PastUse& one : past) {
    for (std::size_t queue = tenants.find(one.tenant, one.queue).value_or(TenantTree::kRoot);;
         queue = tenants[queue].parent) {
      past_[queue].slots += one.slots;
      past_[queue].memory_bytes += one.memory_bytes;
      if (queue == TenantTree::kRoot) break;
    }
  }
}

double Shares::of(const QueueUse& use, std::size_t queue) const {
  const double slots = static_cast<double>(use.slots(queue)) + past_[queue].slots;
  const double memory = static_cast<double>(use.memory_bytes(queue)) + past_[queue].memory_bytes;
  return std::max(slots / total_slots_, memory / total_memory_) / tenants_[queue].weight;
}

}  // namespace ds::scheduler
