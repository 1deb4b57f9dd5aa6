// Which jobs are preempted for one that waits.
#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

#include "scheduler/policy/gang_planner.hpp"

namespace ds::scheduler {
namespace {

SlotCount slots_of(std::span<const Lease* const> leases) {
  SlotCount slots;
  for (const Lease* lease : leases) slots += lease->slots;
  return slots;
}

Room room_held_by(std::span<const Lease* const> leases) {
  Room room;
  for (const Lease* lease : leases) room = plus(room, {lease->slots, 0, lease->devices.size()});
  return room;
}

/// What jobs of one side had that are released.
struct Released {
  Room all_with_gpus;         ///< of those with GPUs, together
  Room most, most_with_gpus;  ///< of one, and of one with GPUs: the most of either
  Room most_without_gpus;     ///< of one without
  void add(const Room& one) {
    const auto keep_more = [&](Room& of) {
      of.slots = std::max(of.slots, one.slots);
      of.gpus = std::max(of.gpus, one.gpus);
    };
    keep_more(most);
    keep_more(one.gpus > 0 ? most_with_gpus : most_without_gpus);
    if (one.gpus > 0) all_with_gpus = plus(all_with_gpus, one);
  }
};

/// Whether there is an order in which `side`, which has none of it any more, had more than it is guaranteed
/// whenever it gave one: slots, or GPUs where that one had some. If the last is given for its slots, so are
/// all before it; if for its GPUs, so are all with GPUs, and those without come first, for their slots.
bool was_beyond(const QueueUse& use, std::size_t side, const Released& released) {
  if (use.is_over_guarantee(side, {}, released.most)) return true;
  const Room& with = released.most_with_gpus;
  if (with.gpus == 0 || !use.is_over_guarantee(side, with, with)) return false;
  const Room& without = released.most_without_gpus;
  return without.slots == 0 || use.is_over_guarantee(side, {}, plus(released.all_with_gpus, without));
}

}  // namespace

/// Not one that was given workers in this plan: its turn has come, and it would lose them only as a whole. A
/// later plan may preempt it.
std::vector<GangPlanner::Job*> GangPlanner::find_preemptible(const Job& job, const Lack& lack,
                                                             const std::set<std::string>* spared) {
  std::vector<Job*> found = ever_preemptible(job, false);
  if (job.demand.priority >= kCriticalPriority)
    std::ranges::move(ever_preemptible(job, true), std::back_inserter(found));
  std::erase_if(found, [&](const Job* other) {
    if (spared != nullptr && spared->contains(other->demand.job)) return true;
    return other->is_relocated || last_placement_of_.contains(other) ||
           newest_of_use(*other, job, lack) == nullptr;
  });
  return found;
}

/// Releases jobs as a whole until there is room: what other queues have borrowed, then less urgent ones of
/// the queue, by whole levels of priority, the lowest first; then gives back those that can be spared. Leaves
/// everything as it was when that is not enough.
void GangPlanner::take_jobs(const Job& job, std::uint32_t count, Taken& taken,
                            const std::set<std::string>* spared) {
  // What it lacks now: what the first of them leave may not be fair to take, and so not what it gets.
  const Lack lack = lack_of(job, count);
  const auto limits = find_limits(job, count);
  std::vector<Job*> candidates = find_preemptible(job, lack, spared);
  std::erase_if(candidates, [&](const Job* other) {
    return !lack.room && std::ranges::none_of(limits, [&](const QueueUse::Limit& limit) {
      return tenants_.is_below(other->queue, limit.queue);
    });
  });
  const auto level_of = [&](const Job* one) {
    return std::pair(one->queue == job.queue, one->demand.priority);
  };
  // Workers are numbered as they start, so the oldest worker's number tells how long a gang has run.
  std::sort(candidates.begin(), candidates.end(), [&](const Job* a, const Job* b) {
    return std::tuple(level_of(a), b->live.back()->worker) < std::tuple(level_of(b), a->live.back()->worker);
  });
  const bool is_exact = candidates.size() <= kMaxExactVictims;
  std::vector<Job*> victims;
  bool is_found = false;
  for (bool has_taken = true; has_taken && !is_found;) {
    has_taken = false;
    for (std::size_t i = 0; i < candidates.size() && !is_found;) {
      const auto level = level_of(candidates[i]);
      for (; i < candidates.size() && level_of(candidates[i]) == level; ++i) {
        Job& other = *candidates[i];
        if (given_up_.contains(&other)) continue;
        if (!is_exact && !is_fair_to_take(other, job, count)) continue;
        release_all(other);
        victims.push_back(&other);
        has_taken = !is_exact;  // then others may be fair to take, for the job's tenant uses less
      }
      is_found = has_room_later(job, count) && (!is_exact || keep_cheapest(job, count, victims));
    }
  }
  if (is_found && !is_exact) keep_needed(job, count, victims);
  if (!is_found) {
    for (Job* victim : victims) take_all_back(*victim);
    return;
  }
  // What was taken from them before is part of what they lose now.
  std::erase_if(taken.workers, [&](const Lease* lease) {
    Job* owner = &job_of(*lease);
    if (std::ranges::find(victims, owner) == victims.end()) return false;
    given_up_.at(owner).push_back(lease);
    return true;
  });
  taken.jobs = std::move(victims);
}

/// Of another queue's job, before it is released: whether that queue has borrowed, and the beneficiary's has
/// not.
bool GangPlanner::is_fair_to_take(const Job& other, const Job& job, std::uint32_t count) const {
  if (other.queue == job.queue) return true;
  const auto meeting = tenants_.meet(job.queue, other.queue);
  return is_entitled(job, other, count) &&
         (meeting.b_side == meeting.at ||
          use_later_.is_over_guarantee(meeting.b_side, room_of(other.size, 1)));
}

/// The same of all that are released: there is an order in which each was fair to take.
bool GangPlanner::were_fair_to_take(std::span<Job* const> victims, const Job& job,
                                    std::uint32_t count) const {
  std::map<std::size_t, Released> sides;
  for (const Job* victim : victims) {
    if (victim->queue == job.queue || !given_up_.contains(victim)) continue;
    if (!is_entitled(job, *victim, count)) return false;
    const auto meeting = tenants_.meet(job.queue, victim->queue);
    if (meeting.b_side == meeting.at) continue;
    sides[meeting.b_side].add(room_held_by(given_up_.at(victim)));
  }
  return std::ranges::all_of(
      sides, [&](const auto& side) { return was_beyond(use_later_, side.first, side.second); });
}

/// Of all sets of the released `victims` that make enough room in a fair way, keeps the one with the fewest
/// slots released; of equals the first in binary order, in which newer jobs are the lower digits. False, with
/// all still released, when there is no such set.
bool GangPlanner::keep_cheapest(const Job& job, std::uint32_t count, std::vector<Job*>& victims) {
  std::vector<SlotCount> slots;
  for (const Job* victim : victims) slots.push_back(slots_of(given_up_.at(victim)));
  const std::uint32_t all = (1U << victims.size()) - 1;
  const auto release_only = [&](std::uint32_t set) {
    for (std::size_t i = 0; i < victims.size(); ++i) {
      const bool is_released = given_up_.contains(victims[i]);
      const bool wanted = (set >> i & 1U) != 0;
      if (wanted && !is_released) release_all(*victims[i]);
      if (!wanted && is_released) take_all_back(*victims[i]);
    }
  };
  std::uint32_t best = 0;
  SlotCount best_slots;
  for (std::uint32_t set = 1; set <= all; ++set) {
    SlotCount cost;
    for (std::size_t i = 0; i < victims.size(); ++i) {
      if ((set >> i & 1U) != 0) cost += slots[i];
    }
    if (best != 0 && cost >= best_slots) continue;
    release_only(set);
    if (has_room_later(job, count) && were_fair_to_take(victims, job, count)) {
      best = set;
      best_slots = cost;
    }
  }
  release_only(best != 0 ? best : all);
  if (best == 0) return false;
  std::erase_if(victims, [&](const Job* victim) { return !given_up_.contains(victim); });
  return true;
}

/// Gives back those without which there is room all the same: the most urgent first, then those with the most
/// slots, then the oldest. Not those without whom the job's queue would have borrowed, seen from others'.
void GangPlanner::keep_needed(const Job& job, std::uint32_t count, std::vector<Job*>& victims) {
  const auto worth = [&](const Job* victim) {
    const auto& leases = given_up_.at(victim);
    return std::tuple(victim->demand.priority, slots_of(leases), ~leases.back()->worker);
  };
  std::vector<Job*> order = victims;
  std::sort(order.begin(), order.end(), [&](const Job* a, const Job* b) { return worth(a) > worth(b); });
  const auto side_of = [&](const Job* victim) {  // the job's, seen from a victim of another queue
    return victim->queue == job.queue ? TenantTree::kRoot : tenants_.meet(job.queue, victim->queue).a_side;
  };
  std::map<std::size_t, std::size_t> seen;  // by victims
  for (const Job* victim : victims) ++seen[side_of(victim)];
  const auto has_borrowed = [&](const auto& side) {
    const auto [queue, by] = side;
    return queue != TenantTree::kRoot && by > 0 && !fits_side(job, queue, count);
  };
  for (Job* victim : order) {
    take_all_back(*victim);
    --seen[side_of(victim)];
    if (has_room_later(job, count) && std::ranges::none_of(seen, has_borrowed)) continue;
    release_all(*victim);
    ++seen[side_of(victim)];
  }
  std::erase_if(victims, [&](const Job* victim) { return !given_up_.contains(victim); });
}

void GangPlanner::release_all(Job& victim) {
  auto& leases = given_up_[&victim] = victim.live;
  for (const Lease* lease : leases) release(victim, *lease);
}

void GangPlanner::take_all_back(Job& victim) {
  for (const Lease* lease : given_up_.at(&victim)) take_back(*lease);
  given_up_.erase(&victim);
}

}  // namespace ds::scheduler
