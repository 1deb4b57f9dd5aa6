#pragma once

#include <cstddef>

#include "scheduler/policy/gang_job.hpp"
#include "scheduler/policy/queue_use.hpp"
#include "scheduler/policy/shares.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// Takes jobs in turn: of each queue the next one, of the queues the one whose turn it is.
///
/// `Next` gives the pending job of a queue or null; it changes as jobs are taken. There are few queues.
template <class Next, class Within>
GangJob* choose_turn(const Shares& shares, const QueueUse& use, std::size_t queues, Next next,
                     Within is_within) {
  GangJob* best = nullptr;
  for (std::size_t queue = 0; queue < queues; ++queue) {
    GangJob* job = next(queue);
    if (job == nullptr) continue;
    const auto within = [&](GangJob* one) {
      return [&is_within, one](std::size_t on_the_way) { return is_within(*one, on_the_way); };
    };
    const int order =
        best == nullptr ? -1 : shares.compare(use, job->queue, within(job), best->queue, within(best));
    if (order < 0 || (order == 0 && GangJob::Before()(job, best))) best = job;
  }
  return best;
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
