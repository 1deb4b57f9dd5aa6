#pragma once

#include <cstddef>
#include <vector>

#include "scheduler/policy/gang_job.hpp"
#include "scheduler/policy/queue_use.hpp"
#include "scheduler/policy/shares.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// Takes jobs in turn: of each queue the next one, of the queues the one whose turn it is; of those below one
/// queue first, so that where two have the same share it is not a third's.
///
/// `Next` gives the pending job of a queue or null; it changes as jobs are taken. Costs what there are of
/// queues. Pure.
template <class Next, class Within>
GangJob* choose_turn(const TenantTree& tenants, const Shares& shares, const QueueUse& use, Next next,
                     Within is_within) {
  std::vector<GangJob*> first(tenants.queues.size());
  for (std::size_t queue = first.size(); queue-- > 0;) {  // children before their parents
    const auto offer = [&](GangJob* job, std::size_t to) {
      GangJob*& best = first[to];
      if (job == nullptr) return;
      const auto within = [&](GangJob* one) {
        return [&is_within, one](std::size_t on_the_way) { return is_within(*one, on_the_way); };
      };
      const int order =
          best == nullptr ? -1 : shares.compare(use, job->queue, within(job), best->queue, within(best));
      if (order < 0 || (order == 0 && GangJob::Before()(job, best))) best = job;
    };
    offer(next(queue), queue);
    if (queue != TenantTree::kRoot) offer(first[queue], tenants[queue].parent);
  }
  return first[TenantTree::kRoot];
}

/// Whether something holds for any queue on the way from a leaf up to this one.
template <class Holds>
bool is_any_up_to(const TenantTree& tenants, std::size_t leaf, std::size_t queue, Holds holds) {
  for (std::size_t at = leaf; at != TenantTree::kRoot; at = tenants[at].parent) {
    if (holds(at)) return true;
    if (at == queue) break;
  }
  return false;
}

}  // namespace ds::scheduler
