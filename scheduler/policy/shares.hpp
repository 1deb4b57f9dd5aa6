#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/queue_use.hpp"
#include "scheduler/spec/queue_index.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// A worker changes its job for the sake of shares where the larger of the two gets smaller by more than this
/// part of it; for the second and later workers of the same two jobs in one plan, where it gets smaller.
inline constexpr double kLeastShareGain = 0.1;

/// Whose turn it is among the queues of a tree: weighted dominant-resource fairness (Ghodsi et al., NSDI
/// 2011), with what was used lately beside what is used now, from the root of the tree down. Pure.
class Shares {
 public:
  /// The tree and its index must outlive it. `total`: of the available nodes.
  Shares(const TenantTree& tenants, const QueueIndex& index, std::span<const PastUse> past,
         const Room& total);

  /// The largest of the queue's shares of the cluster's slots, memory and GPUs (of all kinds), now plus
  /// lately, over its weight. A resource of which the available nodes have none counts nothing.
  double of(const QueueUse& use, std::size_t queue) const;

  /// Whether leaf `a`'s turn comes before `b`'s: negative: yes, 0: equal. `a_within` says of each queue on
  /// the way from the root to `a` whether what is wanted is within its guarantee.
  template <class WithinA, class WithinB>
  int compare(const QueueUse& use, std::size_t a, WithinA a_within, std::size_t b, WithinB b_within) const {
    const auto way_a = index_.way(a), way_b = index_.way(b);
    for (std::size_t i = 0; i < way_a.size() && i < way_b.size(); ++i) {
      const bool is_a = a_within(way_a[i]), is_b = b_within(way_b[i]);
      if (is_a != is_b) return is_a ? -1 : 1;
      if (way_a[i] == way_b[i]) continue;
      const double share_a = of(use, way_a[i]), share_b = of(use, way_b[i]);
      return share_a < share_b ? -1 : share_b < share_a ? 1 : 0;
    }
    // Jobs of a queue that is no leaf are of tenants that are not known any more: they come last.
    return static_cast<int>(way_b.size()) - static_cast<int>(way_a.size());
  }

 private:
  struct Use {
    double slots = 0, memory_bytes = 0, gpus = 0;
  };
  const TenantTree& tenants_;
  const QueueIndex& index_;
  std::vector<Use> past_;
  Use total_;
};

}  // namespace ds::scheduler
