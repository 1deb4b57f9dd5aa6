#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/shares.hpp"

namespace ds::scheduler {

/// Takes jobs in turn: of each queue the next one, of the queues the one whose turn it is; of those below one
/// queue first, so that where two have the same share it is not a third's.
///
/// `Next` gives the pending job of a queue or null; it changes as jobs are taken. There are few queues. Pure.
template <class Next, class Within>
GangPlanner::Job* choose_turn(const TenantTree& tenants, const Shares& shares, const QueueUse& use, Next next,
                              Within is_within) {
  std::vector<GangPlanner::Job*> first(tenants.queues.size());
  for (std::size_t queue = first.size(); queue-- > 0;) {  // children before their parents
    const auto offer = [&](GangPlanner::Job* job, std::size_t to) {
      GangPlanner::Job*& best = first[to];
      if (job == nullptr) return;
      const auto within = [&](GangPlanner::Job* one) {
        return [&is_within, one](std::size_t on_the_way) { return is_within(*one, on_the_way); };
      };
      const int order =
          best == nullptr ? -1 : shares.compare(use, job->queue, within(job), best->queue, within(best));
      if (order < 0 || (order == 0 && GangPlanner::Before()(job, best))) best = job;
    };
    offer(next(queue), queue);
    if (queue != TenantTree::kRoot) offer(first[queue], tenants[queue].parent);
  }
  return first[TenantTree::kRoot];
}

}  // namespace ds::scheduler
