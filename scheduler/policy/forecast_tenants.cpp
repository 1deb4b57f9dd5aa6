// Until when a job that waits has started among tenants, if its minimum is within what its queue is
// guaranteed.
#include <algorithm>
#include <vector>

#include "scheduler/policy/forecast.hpp"
#include "scheduler/policy/planning.hpp"

namespace ds::scheduler {

/// Whether slots are all that may be short, and nowhere scattered: all workers have the same number of them,
/// memory is enough for as many as a node has slots for, and there is room for all that is guaranteed.
/// (Where nodes differ in what they are of use for, nobody has his guarantee for certain.)
bool GangPlanner::are_only_slots_short() const {
  SlotCount slots;
  std::uint64_t most_memory = 0;
  for (const auto& [id, job] : jobs_) {
    if (slots > 0 && job->size.slots != slots) return false;
    if (is_picky(*job)) return false;
    slots = job->size.slots;
    most_memory = std::max(most_memory, job->size.memory_bytes);
  }
  if (slots == 0) return false;
  std::uint64_t fitting = 0;
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    if (!capacity_.node(node).available) continue;
    const Room room = capacity_.total(node);
    const std::uint64_t here = slots.fits_into(room.slots);
    if (most_memory > 0 && room.memory_bytes / most_memory < here) return false;
    fitting += here;
  }
  SlotCount guaranteed;
  std::uint64_t guaranteed_workers = 0;
  for (const QueueSpec& queue : tenants_.queues) {
    if (queue.depth != 1) continue;
    guaranteed += queue.guaranteed;
    guaranteed_workers += slots.fits_into(queue.guaranteed);
  }
  return guaranteed_workers <= fitting && guaranteed <= total().slots;
}

/// Whether what the job has, or will have, can't be had back by others, beyond what its queue is guaranteed.
bool GangPlanner::may_others_keep_borrowed(const Job& job) const {
  return std::ranges::any_of(jobs_, [&](const auto& entry) {
    const Job& other = *entry.second;
    return other.is_wanted && other.queue != job.queue && may_keep_borrowed(other);
  });
}

bool GangPlanner::may_keep_borrowed(const Job& job) const {
  if (job.demand.preemptible && !job.demand.has_promise) return false;
  const bool may_grow = !job.demand.preemptible && job.demand.workers.max > job.needed;
  return may_grow || !job.has_queue || job.guaranteed_levels < tenants_[job.queue].depth;
}

/// Of the job's queue: for how long at most those have workers that it may have to wait for; none: nobody
/// knows, or there is no bound.
///
/// As long as it waits either one of these runs, or the first in the queue's line is within what that is
/// guaranteed, and starts: those that have no limit leave enough of it for each, even together.
std::optional<std::int64_t> GangPlanner::own_queue_runs_ms(const Job& job, std::int64_t now_ms) const {
  SlotCount endless, largest = job.needed * job.size.slots;
  std::uint32_t most_urgent = 0;
  std::vector<const Job*> limited;
  for (const auto& [id, one] : jobs_) {
    const Job* other = one.get();
    if (other == &job || other->queue != job.queue || !other->is_wanted) continue;
    if (!other->is_pending && other->workers == 0 && !other->demand.held) continue;  // it never starts
    const std::uint32_t most =
        other->demand.preemptible ? other->needed : std::max(other->needed, other->demand.workers.max);
    const bool has_limit =
        other->started > 0 && other->workers > 0 ? other->demand.ends_ms > 0 : other->demand.lasts_ms > 0;
    if (!has_limit) {
      endless += most * other->size.slots;
      continue;
    }
    limited.push_back(other);
    if (other->workers > 0) continue;
    most_urgent = std::max(most_urgent, other->demand.priority);
    if (Before()(other, const_cast<Job*>(&job)))
      largest = std::max(largest, other->needed * other->size.slots);
  }
  if (endless + largest > tenants_[job.queue].guaranteed) return std::nullopt;
  std::int64_t together_ms = 0, in_turn_ms = 0;
  for (const Job* other : limited) {
    const bool runs = other->started > 0 && other->workers > 0;
    const std::int64_t left_ms =
        runs ? std::max<std::int64_t>(0, other->demand.ends_ms - now_ms) : other->demand.lasts_ms;
    const bool is_safe = !other->demand.preemptible || other->demand.has_promise ||
                         (other->guaranteed_levels >= tenants_[other->queue].depth &&
                          other->demand.priority >= std::max(most_urgent, job.demand.priority));
    runs&& is_safe ? void(together_ms = std::max(together_ms, left_ms)) : void(in_turn_ms += left_ms);
  }
  return together_ms + in_turn_ms;
}

/// Workers have to leave for it, and before for each that is within a guarantee, too; and those that have
/// just started keep theirs for a while.
std::optional<std::int64_t> Planning::latest_among_tenants(const Job& job, const GangEnds& ends) {
  if (job.demand.has_promise) return promised_start(job, ends.leaving_ms);
  if (planner_.job_count() > kMaxForecastJobs || planner_.has_partial_gangs()) return std::nullopt;
  if (std::ranges::any_of(keepers_, [](const Keeper& one) { return one.job->demand.has_promise; }))
    return std::nullopt;
  if (!planner_.are_only_slots_short() || planner_.may_others_keep_borrowed(job)) return std::nullopt;
  const auto own_ms = planner_.own_queue_runs_ms(job, now_ms_);
  if (!own_ms) return std::nullopt;
  std::int64_t turns = 1;
  for (std::size_t queue = 0; queue < tenants_.queues.size(); ++queue)
    turns += static_cast<std::int64_t>(planner_.short_of(queue).size());
  return now_ms_ + *own_ms + turns * (ends.leaving_ms + ends.young_ms);
}

}  // namespace ds::scheduler
