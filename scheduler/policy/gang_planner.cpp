#include "scheduler/policy/gang_planner.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace ds::scheduler {

GangPlanner::GangPlanner(std::span<const NodeView> nodes, std::span<const Lease> leases,
                         std::span<const Demand> demands)
    : capacity_(nodes, leases), leases_(leases) {
  for (const Demand& demand : demands) {
    Job job;
    job.demand = &demand;
    job.size = {demand.slots, demand.memory_bytes};
    job.needed = std::max<std::uint32_t>(1, demand.workers.min);
    job.at.resize(nodes.size());
    jobs_.push_back(std::move(job));
  }
  std::sort(jobs_.begin(), jobs_.end(), [](const Job& a, const Job& b) {
    return std::tie(a.demand->order, a.demand->job) < std::tie(b.demand->order, b.demand->job);
  });
  for (std::size_t i = 0; i < jobs_.size(); ++i) index_.emplace(jobs_[i].demand->job, i);
  for (const Lease& lease : leases) {
    if (lease.role != Role::worker) continue;
    const std::size_t node = capacity_.index_of(lease.node);
    if (node != Capacity::kUnknownNode && capacity_.node(node).available) occupants_.insert(lease.job);
    const auto found = index_.find(lease.job);
    if (found == index_.end() || lease.releasing) continue;
    Job& job = jobs_[found->second];
    ++job.workers;
    ++(node == Capacity::kUnknownNode ? job.at_unknown_nodes : job.at[node]);
    job.live.push_back(&lease);
  }
  for (Job& job : jobs_) {
    std::sort(job.live.begin(), job.live.end(),
              [](const Lease* a, const Lease* b) { return a->worker > b->worker; });
  }
}

bool GangPlanner::is_feasible(const Job& job) const {
  return count_alone(job, false, job.size) >= job.needed;
}

/// Workers the job has, and could add if all others were gone.
std::uint64_t GangPlanner::count_alone(const Job& job, bool with_unavailable_nodes,
                                       const WorkerSize& size) const {
  std::uint64_t count = job.at_unknown_nodes;
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    count += job.at[node];
    if (!capacity_.node(node).available && !with_unavailable_nodes) continue;
    const std::uint64_t fitting = count_fitting(capacity_.total(node), size);
    count += fitting > job.at[node] ? fitting - job.at[node] : 0;
  }
  return count;
}

std::uint64_t GangPlanner::count_placeable(const WorkerSize& size) const {
  std::uint64_t count = 0;
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    count += count_fitting(capacity_.placeable(node), size);
  }
  return count;
}

std::uint64_t GangPlanner::count_later(const WorkerSize& size) const {
  std::uint64_t count = 0;
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    count += count_fitting(capacity_.free_later(node), size);
  }
  return count;
}

/// A node where the job already runs, else the fullest that has room; the first in the list of equals.
template <class RoomOf>
std::optional<std::size_t> GangPlanner::choose_node(const Job& job, RoomOf room_of) const {
  using Rank = std::tuple<bool, std::uint64_t, std::uint64_t>;
  std::optional<std::size_t> best;
  Rank best_rank;
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    const Room room = room_of(node);
    if (!capacity_.node(node).available || count_fitting(room, job.size) == 0) continue;
    const Rank rank{job.at[node] == 0, room.slots, room.memory_bytes};
    if (!best || rank < best_rank) {
      best = node;
      best_rank = rank;
    }
  }
  return best;
}

bool GangPlanner::place(Job& job, std::uint32_t count) {
  if (count_placeable(job.size) < count) return false;
  occupants_.insert(job.demand->job);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto node = choose_node(job, [&](std::size_t n) { return capacity_.placeable(n); });
    capacity_.place(*node, job.size);
    ++job.at[*node];
    ++job.workers;
    const std::string& id = capacity_.node(*node).id;
    const auto same = std::find_if(
        plan_.placements.begin(), plan_.placements.end(),
        [&](const Placement& placement) { return placement.job == job.demand->job && placement.node == id; });
    if (same != plan_.placements.end()) {
      ++same->count;
    } else {
      plan_.placements.push_back({job.demand->job, id, 1});
    }
  }
  return true;
}

bool GangPlanner::make_room(const Job& job, std::uint32_t count) {
  std::vector<const Lease*> chosen;
  while (count_later(job.size) < count) {
    Job* victim = choose_victim(job);
    if (victim == nullptr) {
      for (const Lease* lease : chosen) take_back(*lease);
      return false;
    }
    chosen.push_back(newest_on_available_node(*victim));
    release(*victim, *chosen.back());
  }
  drop_needless(chosen, job.size, count);
  for (const Lease* lease : chosen) {
    plan_.releases.push_back({lease->job, lease->worker});
    jobs_[released_.at(lease->worker)].was_shrunk = true;
  }
  Job waiting = job;  // what it will have where, for packing only
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto node = choose_node(waiting, [&](std::size_t n) { return capacity_.free_later(n); });
    capacity_.reserve(*node, job.size);
    ++waiting.at[*node];
  }
  return true;
}

/// Whether `job` is a gang below its minimum that makes no progress with what it holds, and whose turn comes
/// after the beneficiary's or never. If such gangs kept their workers, two of them could wait for each other
/// for ever.
bool GangPlanner::is_stalled_before(const Job& job, const Job& beneficiary) const {
  if (job.workers == 0 || job.workers >= job.needed) return false;
  if (!job.demand->held && count_placeable(job.size) >= job.needed - job.workers)
    return false;  // refilled at once
  return std::tie(job.demand->order, job.demand->job) >
             std::tie(beneficiary.demand->order, beneficiary.demand->job) ||
         !is_feasible(job);
}

/// The youngest stalled gang; else, of the jobs above their minimum, the one with the most workers, the
/// youngest of equals.
GangPlanner::Job* GangPlanner::choose_victim(const Job& beneficiary) {
  Job* stalled = nullptr;
  Job* richest = nullptr;
  for (Job& job : jobs_) {
    if (job.demand == beneficiary.demand || newest_on_available_node(job) == nullptr) continue;
    if (is_stalled_before(job, beneficiary)) stalled = &job;
    if (job.workers > job.needed && (richest == nullptr || job.workers >= richest->workers)) richest = &job;
  }
  return stalled != nullptr ? stalled : richest;
}

const Lease* GangPlanner::newest_on_available_node(const Job& job) const {
  for (const Lease* lease : job.live) {
    const std::size_t node = capacity_.index_of(lease->node);
    if (node != Capacity::kUnknownNode && capacity_.node(node).available) return lease;
  }
  return nullptr;
}

/// Takes back the releases without which there is room all the same: those on nodes where it did not help.
void GangPlanner::drop_needless(std::vector<const Lease*>& chosen, const WorkerSize& size,
                                std::uint32_t count) {
  for (std::size_t i = chosen.size(); i-- > 0;) {
    take_back(*chosen[i]);
    if (count_later(size) >= count) {
      chosen.erase(chosen.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      release(jobs_[index_.at(chosen[i]->job)], *chosen[i]);
    }
  }
}

void GangPlanner::release(Job& victim, const Lease& lease) {
  const std::size_t node = capacity_.index_of(lease.node);
  capacity_.release(node, {lease.slots, lease.memory_bytes});
  --victim.workers;
  --victim.at[node];
  std::erase(victim.live, &lease);
  released_.emplace(lease.worker, index_.at(lease.job));
}

void GangPlanner::take_back(const Lease& lease) {
  const std::size_t node = capacity_.index_of(lease.node);
  Job& job = jobs_[index_.at(lease.job)];
  capacity_.reserve(node, {lease.slots, lease.memory_bytes});
  ++job.workers;
  ++job.at[node];
  const auto place = std::find_if(job.live.begin(), job.live.end(),
                                  [&](const Lease* other) { return other->worker < lease.worker; });
  job.live.insert(place, &lease);
  released_.erase(lease.worker);
}

WaitFacts GangPlanner::facts_of(const Job& job) const {
  const WorkerSize without_memory{job.size.slots, 0};
  WaitFacts facts;
  facts.workers = job.workers;
  facts.needed = job.needed;
  facts.slots = job.size.slots;
  facts.memory_bytes = job.size.memory_bytes;
  facts.fitting_now = count_placeable(job.size);
  facts.fitting_now_by_slots = count_placeable(without_memory);
  facts.fitting_ever = count_alone(job, false, job.size);
  facts.fitting_ever_by_slots = count_alone(job, false, without_memory);
  facts.fitting_undrained = count_alone(job, true, job.size);
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    if (capacity_.node(node).available) {
      ++facts.available_nodes;
      facts.total_slots += capacity_.node(node).slots;
      facts.free_slots += capacity_.placeable(node).slots;
    } else {
      ++facts.unavailable_nodes;
    }
  }
  facts.held = job.demand->held;
  for (const std::string& occupant : occupants_) {
    if (facts.occupants.size() == kMaxBlockingJobs) break;
    if (occupant != job.demand->job) facts.occupants.push_back(occupant);
  }
  return facts;
}

std::uint64_t GangPlanner::count_releasing() const {
  const auto stopping = std::count_if(leases_.begin(), leases_.end(), [](const Lease& lease) {
    return lease.releasing && lease.role == Role::worker;
  });
  return static_cast<std::uint64_t>(stopping) + plan_.releases.size();
}

void GangPlanner::wait(const Job& job, const WaitFacts& facts) {
  plan_.waits.push_back({job.demand->job, explain_wait(facts)});
}

Plan GangPlanner::take_plan() {
  return std::move(plan_);
}

}  // namespace ds::scheduler
