#include "scheduler/policy/shares.hpp"

#include <algorithm>

namespace ds::scheduler {
namespace {

/// Of a resource that no available node has, nobody has a share, whatever he used lately.
double part_of(double used, double total) {
  return total > 0 ? used / total : 0;
}

}  // namespace

Shares::Shares(const TenantTree& tenants, const QueueIndex& index, std::span<const PastUse> past,
               const Room& total)
    : tenants_(tenants),
      index_(index),
      past_(tenants.queues.size()),
      total_{total.slots.number(), static_cast<double>(total.memory_bytes), static_cast<double>(total.gpus)} {
  for (const PastUse& one : past) {
    for (std::size_t queue = index.find(one.tenant, one.queue).value_or(TenantTree::kRoot);;
         queue = tenants[queue].parent) {
      past_[queue].slots += one.slots;
      past_[queue].memory_bytes += one.memory_bytes;
      past_[queue].gpus += one.gpus;
      if (queue == TenantTree::kRoot) break;
    }
  }
}

double Shares::of(const QueueUse& use, std::size_t queue) const {
  const Room& now = use.used(queue);
  const Use& past = past_[queue];
  const double share =
      std::max({part_of(now.slots.number() + past.slots, total_.slots),
                part_of(static_cast<double>(now.memory_bytes) + past.memory_bytes, total_.memory_bytes),
                part_of(static_cast<double>(now.gpus) + past.gpus, total_.gpus)});
  return share / tenants_[queue].weight;
}

}  // namespace ds::scheduler
