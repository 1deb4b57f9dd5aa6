// What may be taken from others for a job that waits.
#include <algorithm>
#include <tuple>

#include "scheduler/policy/gang_planner.hpp"

namespace ds::scheduler {
namespace {

std::uint64_t slots_of(std::span<const Lease* const> leases) {
  std::uint64_t slots = 0;
  for (const Lease* lease : leases) slots += lease->slots;
  return slots;
}

}  // namespace

bool GangPlanner::has_room_later(const Job& job, std::uint32_t count) const {
  return count_later(job.size) >= count;
}

bool GangPlanner::make_room(const Job& job, std::uint32_t count) {
  Taken taken;
  while (!has_room_later(job, count)) {
    Job* victim = choose_victim(job);
    if (victim == nullptr) break;
    taken.workers.push_back(newest_on_available_node(*victim));
    release(*victim, *taken.workers.back());
  }
  if (!has_room_later(job, count)) preempt(job, count, taken);
  if (!has_room_later(job, count)) {
    for (const Lease* lease : taken.workers) take_back(*lease);
    return false;
  }
  drop_needless(job, count, taken.workers);
  record(job, taken);
  reserve(job, count);
  return true;
}

/// Whether `job` is a gang below its minimum that makes no progress with what it holds, and whose turn comes
/// after the beneficiary's or never. If such gangs kept their workers, two of them could wait for each other
/// for ever.
bool GangPlanner::is_stalled_before(const Job& job, const Job& beneficiary) const {
  if (job.workers == 0 || job.workers >= job.needed) return false;
  if (!job.demand->held && count_placeable(job.size) >= job.needed - job.workers)
    return false;  // refilled at once
  return &job > &beneficiary || !is_feasible(job);
}

bool GangPlanner::may_shrink(const Job& job, const Job& beneficiary) const {
  return job.workers > job.needed && job.demand->preemptible &&
         job.demand->priority <= beneficiary.demand->priority;
}

bool GangPlanner::may_preempt(const Job& job, const Job& beneficiary) const {
  const bool old_enough = !job.demand->is_young || beneficiary.demand->priority >= kCriticalPriority;
  return job.workers > 0 && job.demand->preemptible && old_enough &&
         job.demand->priority < beneficiary.demand->priority;
}

std::size_t GangPlanner::count_too_young(const Job& job) const {
  if (job.demand->priority >= kCriticalPriority) return 0;
  const auto count = std::ranges::count_if(jobs_, [&](const Job& other) {
    return other.workers > 0 && other.demand->is_young && other.demand->preemptible &&
           other.demand->priority < job.demand->priority;
  });
  return static_cast<std::size_t>(count);
}

/// The least urgent stalled gang; else, of the jobs that may be shrunk, the one with the most workers, the
/// least urgent of equals.
GangPlanner::Job* GangPlanner::choose_victim(const Job& beneficiary) {
  Job* stalled = nullptr;
  Job* richest = nullptr;
  for (Job& job : jobs_) {
    if (job.workers == 0 || &job == &beneficiary || newest_on_available_node(job) == nullptr) continue;
    if (is_stalled_before(job, beneficiary)) stalled = &job;
    if (may_shrink(job, beneficiary) && (richest == nullptr || job.workers >= richest->workers))
      richest = &job;
  }
  return stalled != nullptr ? stalled : richest;
}

const Lease* GangPlanner::newest_on_available_node(const Job& job) const {
  for (const Lease* lease : job.live) {
    if (is_available(*lease)) return lease;
  }
  return nullptr;
}

/// Releases less urgent jobs as a whole until there is room: whole levels of priority, the lowest first; then
/// gives back those that can be spared. Leaves everything as it was when that is not enough.
void GangPlanner::preempt(const Job& job, std::uint32_t count, Taken& taken) {
  std::vector<Job*> candidates;
  for (Job& other : jobs_) {
    if (may_preempt(other, job) && newest_on_available_node(other) != nullptr) candidates.push_back(&other);
  }
  // Workers are numbered as they start, so the oldest worker's number tells how long a gang has run.
  std::sort(candidates.begin(), candidates.end(), [](const Job* a, const Job* b) {
    return std::tuple(a->demand->priority, b->live.back()->worker) <
           std::tuple(b->demand->priority, a->live.back()->worker);
  });
  std::vector<Job*> victims;
  for (std::size_t i = 0; i < candidates.size() && !has_room_later(job, count);) {
    const auto level = candidates[i]->demand->priority;
    for (; i < candidates.size() && candidates[i]->demand->priority == level; ++i) {
      release_all(*candidates[i]);
      victims.push_back(candidates[i]);
    }
  }
  if (!has_room_later(job, count)) {
    for (Job* victim : victims) take_all_back(*victim);
    return;
  }
  if (victims.size() <= kMaxExactVictims) {
    keep_cheapest(job, count, victims);
  } else {
    keep_needed(job, count, victims);
  }
  // What was taken from them before is part of what they lose now.
  std::erase_if(taken.workers, [&](const Lease* lease) {
    Job* owner = &jobs_[index_.at(lease->job)];
    if (std::ranges::find(victims, owner) == victims.end()) return false;
    given_up_.at(owner).push_back(lease);
    return true;
  });
  taken.jobs = std::move(victims);
}

/// Of all sets of the released `victims` that make enough room, keeps the one with the fewest slots released;
/// of equals the first in binary order, in which newer jobs are the lower digits.
void GangPlanner::keep_cheapest(const Job& job, std::uint32_t count, std::vector<Job*>& victims) {
  std::vector<std::uint64_t> slots;
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
  std::uint32_t best = all;
  std::uint64_t best_slots = 0;
  for (const auto one : slots) best_slots += one;
  for (std::uint32_t set = 1; set < all; ++set) {
    std::uint64_t cost = 0;
    for (std::size_t i = 0; i < victims.size(); ++i) cost += (set >> i & 1U) != 0 ? slots[i] : 0;
    if (cost > best_slots || (cost == best_slots && best < set)) continue;
    release_only(set);
    if (has_room_later(job, count)) std::tie(best, best_slots) = std::tie(set, cost);
  }
  release_only(best);
  std::erase_if(victims, [&](const Job* victim) { return !given_up_.contains(victim); });
}

/// Gives back those without which there is room all the same: the most urgent first, then those with the most
/// slots, then the oldest.
void GangPlanner::keep_needed(const Job& job, std::uint32_t count, std::vector<Job*>& victims) {
  const auto worth = [&](const Job* victim) {
    const auto& leases = given_up_.at(victim);
    return std::tuple(victim->demand->priority, slots_of(leases), ~leases.back()->worker);
  };
  std::vector<Job*> order = victims;
  std::sort(order.begin(), order.end(), [&](const Job* a, const Job* b) { return worth(a) > worth(b); });
  for (Job* victim : order) {
    take_all_back(*victim);
    if (!has_room_later(job, count)) release_all(*victim);
  }
  std::erase_if(victims, [&](const Job* victim) { return !given_up_.contains(victim); });
}

/// Takes back the releases without which there is room all the same: those on nodes where it did not help.
void GangPlanner::drop_needless(const Job& job, std::uint32_t count, std::vector<const Lease*>& chosen) {
  for (std::size_t i = chosen.size(); i-- > 0;) {
    const Lease* lease = chosen[i];
    take_back(*lease);
    if (has_room_later(job, count)) {
      chosen.erase(chosen.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      release(jobs_[index_.at(lease->job)], *lease);
    }
  }
}

void GangPlanner::record(const Job& job, const Taken& taken) {
  for (const Lease* lease : taken.workers) {
    plan_.releases.push_back({lease->job, lease->worker});
    jobs_[index_.at(lease->job)].was_shrunk = true;
  }
  for (Job* victim : taken.jobs) {
    plan_.preemptions.push_back({victim->demand->job, job.demand->job});
    victim->was_shrunk = true;
    for (const Lease* lease : given_up_.at(victim)) plan_.releases.push_back({lease->job, lease->worker});
  }
}

void GangPlanner::release(Job& victim, const Lease& lease) {
  const std::size_t node = capacity_.index_of(lease.node);
  --victim.workers;
  if (node == Capacity::kUnknownNode) {
    --victim.at_unknown_nodes;
  } else {
    capacity_.release(node, {lease.slots, lease.memory_bytes});
    if (--victim.at.at(node) == 0) victim.at.erase(node);
  }
  std::erase(victim.live, &lease);
  on_capacity_changed();
}

void GangPlanner::take_back(const Lease& lease) {
  const std::size_t node = capacity_.index_of(lease.node);
  Job& job = jobs_[index_.at(lease.job)];
  ++job.workers;
  if (node == Capacity::kUnknownNode) {
    ++job.at_unknown_nodes;
  } else {
    capacity_.reserve(node, {lease.slots, lease.memory_bytes});
    ++job.at[node];
  }
  const auto place = std::find_if(job.live.begin(), job.live.end(),
                                  [&](const Lease* other) { return other->worker < lease.worker; });
  job.live.insert(place, &lease);
  on_capacity_changed();
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
