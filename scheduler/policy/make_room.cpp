// What may be taken from others for a job that waits.
#include <algorithm>
#include <ranges>
#include <tuple>

#include "scheduler/policy/gang_planner.hpp"

namespace ds::scheduler {

GangPlanner::Lack GangPlanner::lack_of(const Job& job, std::uint32_t count) const {
  if (!is_together(job)) return {capacity_.count_later(job.size) < count, find_limit(job, count)};
  const Ask ask = ask_of(job, count);
  bool has_room = !ask.only && capacity_.count_later(ask.piece) > 0;
  if (ask.only && *ask.only != Capacity::kUnknownNode)
    has_room = capacity_.fitting(*ask.only, capacity_.free_later(*ask.only), ask.piece) > 0;
  return {!has_room, find_limit(job, count)};
}

/// Whether what the victim has is of any use against the lack.
bool GangPlanner::helps(const Job& victim, const Lack& lack) const {
  return lack.room || (lack.quota && tenants_.is_below(victim.queue, *lack.quota));
}

MadeRoom GangPlanner::make_room(Job& job, std::uint32_t count, std::int64_t now_ms,
                                const RoomConditions& conditions) {
  Taken taken;
  MadeRoom room;
  if (!take_workers(job, count, taken, [&](const Job& other) { return may_shrink(other, job, count); })) {
    room.limits = find_limits(job, count);
    room.guarantee = lowest_guarantee(job.queue, room_of(job.size, count));
    if (!conditions.may_stay && may_help_to_relocate(job, count) &&
        make_room_by_relocation(job, count, taken, now_ms))
      return {true};
    if (conditions.may_preempt) take_jobs(job, count, taken, conditions.spared);
  }
  room.is_coming = finish(job, count, taken, conditions.may_stay);
  return room;
}

/// The lowest queue on the way from this one up that stays within its guarantee with so much more; the root:
/// none.
std::size_t GangPlanner::lowest_guarantee(std::size_t queue, const Room& more) const {
  while (queue != TenantTree::kRoot && !use_later_.fits_guarantee(queue, more))
    queue = tenants_[queue].parent;
  return queue;
}

bool GangPlanner::reclaim_room(Job& job, std::uint32_t count) {
  if (lowest_guarantee(job.queue, room_of(job.size, count)) == TenantTree::kRoot) return false;
  Taken taken;
  take_workers(job, count, taken, [&](const Job& other) {
    return other.queue != job.queue && is_entitled(job, other, count) && may_shrink(other, job, count);
  });
  if (!finish(job, count, taken)) return false;
  keep(job, count);
  return true;
}

/// No node has room for one, nor will have; and of whoever may be taken from for the first the same goes for
/// the second: another queue's workers above minimums, gangs that lack workers.
bool GangPlanner::lack_the_same_room(const Job& first, const Job& second) const {
  const auto claim = [](const Job& job) {
    return std::tuple(job.guaranteed_levels, job.demand.has_promise, job.demand.preemptible);
  };
  if (first.queue != second.queue || first.size != second.size || claim(first) != claim(second)) return false;
  if (is_together(first) || is_together(second)) return false;
  if (can_place(first, 1) || !lacks_slots(first, 1)) return false;
  return yielding_.upper_bound(&first) == yielding_.upper_bound(&second);  // none between them
}

/// Counts what was reserved as that which it grows by.
void GangPlanner::keep(Job& job, std::uint32_t count) {
  touch(job);
  job.kept += count;
  measure(job);
}

/// Releases single workers until the job has room; false when there is none left to take before.
template <class MayShrink>
bool GangPlanner::take_workers(const Job& job, std::uint32_t count, Taken& taken, MayShrink may_take) {
  for (Lack lack = lack_of(job, count); !lack.is_none(); lack = lack_of(job, count)) {
    Job* victim = choose_victim(job, lack, may_take);
    if (victim == nullptr) return false;
    taken.workers.push_back(newest_of_use(*victim, job, lack));
    release(*victim, *taken.workers.back());
  }
  return true;
}

/// Keeps what is needed of what was taken, and the room for the job; or gives all back when there is none.
bool GangPlanner::finish(Job& job, std::uint32_t count, Taken& taken, const std::function<bool()>& may_stay) {
  const bool has_room = has_room_later(job, count);
  if (has_room) drop_needless(job, count, taken.workers);
  const std::size_t first_step = steps_.size();
  if (has_room) reserve(job, count);
  if (!has_room || (may_stay && !may_stay())) {
    undo_from(first_step);
    for (const Lease* lease : taken.workers) take_back(*lease);
    for (Job* victim : taken.jobs) take_all_back(*victim);
    return false;
  }
  record(job, taken);
  return true;
}

/// Whether `job` is a gang below its minimum that makes no progress with what it holds, and whose turn comes
/// after the beneficiary's or never. If such gangs kept their workers, two of them could wait for each other
/// for ever.
bool GangPlanner::is_stalled_before(const Job& job, const Job& beneficiary) const {
  if (job.workers == 0 || job.workers >= job.needed || !could_yield(job)) return false;
  // By what doesn't change with what they hold: else they could take it from each other in turn.
  const bool is_after = job.guaranteed_levels != beneficiary.guaranteed_levels
                            ? job.guaranteed_levels < beneficiary.guaranteed_levels
                            : Job::ByPriority()(&beneficiary, &job);  // nor by a promise, which is for later
  // Of one that is pending this is known, as long as nothing was taken from it: no nodes are counted.
  const bool is_as_begun = job.is_pending && !job.is_touched;
  if (!is_after && (is_as_begun || (is_feasible(job) && is_allowed(job)))) return false;
  const bool is_refilled_at_once = !job.demand.held && can_place(job, job.needed - job.workers) &&
                                   !find_limit(job, job.needed - job.workers);
  return !is_refilled_at_once;
}

bool GangPlanner::may_shrink(const Job& job, const Job& beneficiary, std::uint32_t count) const {
  if (job.workers <= job.needed || !job.demand.preemptible || job.is_relocated) return false;
  return may_be_taken(job, beneficiary, count, use_later_);
}

/// In the queue who is not more urgent; and anybody for a minimum that is within the queue's guarantee, up to
/// that: else nobody could have it, and all others would wait behind. Another queue keeps what it is
/// guaranteed. Where its workers don't add up to just that, the one that passes it goes to those who have a
/// guarantee to it: it can't be had back from them, for it would pass it again.
bool GangPlanner::may_be_taken(const Job& job, const Job& beneficiary, std::uint32_t count,
                               const QueueUse& use) const {
  if (job.demand.is_resting && !has_claim(beneficiary, job, count)) return false;
  if (job.queue == beneficiary.queue) {
    const bool is_owed = job.queue != TenantTree::kRoot && beneficiary.workers < beneficiary.needed &&
                         beneficiary.guaranteed_levels >= tenants_[job.queue].depth &&
                         !use.fits_guarantee(job.queue, room_of(beneficiary.size, count));
    return is_owed || yields_to(job, beneficiary);
  }
  const auto meeting = tenants_.meet(beneficiary.queue, job.queue);
  const Room one = room_of(job.size, 1);
  return meeting.b_side == meeting.at || use.can_spare(meeting.b_side, one) ||
         (use.is_over_guarantee(meeting.b_side, one) && is_entitled(beneficiary, job, count));
}

/// Whether the beneficiary need not wait until the job has rested.
bool GangPlanner::has_claim(const Job& beneficiary, const Job& job, std::uint32_t count) const {
  if (beneficiary.demand.has_promise) return true;
  if (job.queue != beneficiary.queue) return is_entitled(beneficiary, job, count);
  const bool is_guaranteed =
      job.queue != TenantTree::kRoot && beneficiary.guaranteed_levels >= tenants_[job.queue].depth;
  return is_guaranteed || job.demand.priority < beneficiary.demand.priority;
}

/// By rank alone: not by how long it has run, nor by what queues use now.
bool GangPlanner::may_ever_preempt(const Job& job, const Job& beneficiary) const {
  if (job.workers == 0 || !job.demand.preemptible || job.demand.has_promise) return false;
  if (job.queue == beneficiary.queue) return job.demand.priority < beneficiary.demand.priority;
  const std::size_t depth = tenants_[tenants_.meet(beneficiary.queue, job.queue).at].depth;
  return beneficiary.guaranteed_levels > depth && job.guaranteed_levels <= depth;
}

/// Whether the beneficiary's queue, with `count` workers more, stays within what its side of the tree is
/// guaranteed, seen from the other job's queue.
bool GangPlanner::is_entitled(const Job& beneficiary, const Job& other, std::uint32_t count) const {
  const auto meeting = tenants_.meet(beneficiary.queue, other.queue);
  return meeting.a_side != meeting.at && fits_side(beneficiary, meeting.a_side, count);
}

/// Those that `may_ever_preempt` says it of, young ones or others. Costs what there are, not what runs.
std::vector<GangPlanner::Job*> GangPlanner::ever_preemptible(const Job& beneficiary, bool are_young) const {
  std::vector<Job*> found;
  for (std::size_t queue = 0; queue < preemptible_.size(); ++queue) {
    if (preemptible_[queue].empty()) continue;
    const bool is_own = queue == beneficiary.queue;
    const std::size_t depth = tenants_[tenants_.meet(beneficiary.queue, queue).at].depth;
    if (!is_own && beneficiary.guaranteed_levels <= depth) continue;
    for (const auto& [group, jobs] : preemptible_[queue]) {
      const auto& [levels, priority, is_young] = group;
      const bool is_below = is_own ? priority < beneficiary.demand.priority : levels <= depth;
      if (is_young != are_young || !is_below) continue;
      for (Job* job : jobs) {
        if (may_ever_preempt(*job, beneficiary)) found.push_back(job);
      }
    }
  }
  return found;
}

std::size_t GangPlanner::count_too_young(const Job& job) const {
  return job.demand.priority >= kCriticalPriority ? 0 : ever_preemptible(job, true).size();
}

/// Of the jobs that may be shrunk, the one that loses least by it; of equals the one with the most workers,
/// the last of these.
template <class MayShrink>
GangPlanner::Job* GangPlanner::choose_richest(const Job& beneficiary, const Lack& lack, MayShrink may_take) {
  Job* richest = nullptr;
  const auto consider = [&](Job* job) {
    if (!helps(*job, lack) || !may_take(*job)) return;
    const auto rank = [](const Job* one) { return std::pair(-one->loss, one->workers); };
    if (richest == nullptr || rank(richest) < rank(job) ||
        (rank(richest) == rank(job) && Before()(richest, job)))
      richest = job;
  };
  for (const auto& groups : shrinkable_) {
    for (const auto& [group, jobs] : groups) {
      // What may be taken is the same for all of a group: its richest stands for it. One that has lost
      // workers stands for itself, and one that is being moved keeps those that it has.
      const auto first = std::find_if(jobs.rbegin(), jobs.rend(), [&](const auto& entry) {
        return entry.second != &beneficiary && !entry.second->is_released_from &&
               !entry.second->is_relocated && newest_of_use(*entry.second, beneficiary, lack) != nullptr;
      });
      if (first != jobs.rend()) consider(first->second);
    }
  }
  for (Job* job : released_from_) {
    if (job != &beneficiary && newest_of_use(*job, beneficiary, lack) != nullptr) consider(job);
  }
  return richest;
}

GangPlanner::Job* GangPlanner::choose_giver(const Job& beneficiary, const Lack& lack) {
  return choose_richest(beneficiary, lack, [&](const Job& other) { return may_move(other, beneficiary); });
}

/// The stalled gang of the lowest rank; else a job that may be shrunk.
template <class MayShrink>
GangPlanner::Job* GangPlanner::choose_victim(const Job& beneficiary, const Lack& lack, MayShrink may_take) {
  for (Job* job : yielding_ | std::views::reverse) {
    if (job != &beneficiary && helps(*job, lack) && is_stalled_before(*job, beneficiary) &&
        newest_of_use(*job, beneficiary, lack) != nullptr)
      return job;
  }
  return choose_richest(beneficiary, lack, may_take);
}

const Lease* GangPlanner::newest_on_available_node(const Job& job) const {
  for (const Lease* lease : job.live) {
    if (is_available(*lease)) return lease;
  }
  return nullptr;
}

/// Whether the node is one for the job's minimum, or for more of what it has there.
bool GangPlanner::could_hold_any(std::size_t node, const Job& job) const {
  return could_hold(node, ask_of(job, job.workers == 0 ? job.needed : 1));
}

/// The newest worker of the victim without which there may be room for the beneficiary's. One that needs
/// GPUs, or one node, gains no room on others, of which there may be many: there it takes one for want of
/// quota alone, and only where the victim has none that makes room as well.
const Lease* GangPlanner::newest_of_use(const Job& victim, const Job& beneficiary, const Lack& lack) const {
  if (!is_picky(beneficiary) || !lack.room) return newest_on_available_node(victim);
  for (const Lease* lease : victim.live) {
    if (is_available(*lease) && could_hold_any(capacity_.index_of(lease->node), beneficiary)) return lease;
  }
  return lack.quota ? newest_on_available_node(victim) : nullptr;
}

/// Takes back the releases without which there is room all the same: those on nodes where it did not help.
void GangPlanner::drop_needless(const Job& job, std::uint32_t count, std::vector<const Lease*>& chosen) {
  for (std::size_t i = chosen.size(); i-- > 0;) {
    const Lease* lease = chosen[i];
    take_back(*lease);
    if (has_room_later(job, count)) {
      chosen.erase(chosen.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      release(job_of(*lease), *lease);
    }
  }
}

void GangPlanner::record(const Job& job, const Taken& taken) {
  for (const Lease* lease : taken.workers) {
    releases_.push_back({lease->job, lease->worker});
    job_of(*lease).was_shrunk = true;
  }
  for (Job* victim : taken.jobs) {
    preemptions_.push_back({victim->demand.job, job.demand.job});
    victim->was_shrunk = true;
    for (const Lease* lease : given_up_.at(victim)) releases_.push_back({lease->job, lease->worker});
  }
}

}  // namespace ds::scheduler
