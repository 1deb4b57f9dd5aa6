// What is kept for those that wait, and what may start beside it.
#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "scheduler/policy/aftermath.hpp"

namespace ds::scheduler {
namespace {

constexpr std::int64_t kEverything = std::numeric_limits<std::int64_t>::max() / 2;

Room plus(const Room& a, const Room& b) {
  return {a.slots + b.slots, a.memory_bytes + b.memory_bytes};
}

Room minus(const Room& a, const Room& b) {
  return {a.slots - b.slots, a.memory_bytes - b.memory_bytes};
}

std::int64_t fitting(const Room& room, const WorkerSize& size) {
  return static_cast<std::int64_t>(count_fitting(room, size));
}

}  // namespace

GangPlanner::Aftermath GangPlanner::aftermath_of(const Job& job) const {
  return {.job = &job,
          .freed = std::vector<Room>(capacity_.node_count()),
          .use = use_later_,
          .fitting = static_cast<std::int64_t>(capacity_.count_later(job.size))};
}

void GangPlanner::give_back(Aftermath& then, const Job& other, std::size_t node,
                            std::uint32_t workers) const {
  then.use.remove(other.queue, std::uint64_t{workers} * other.size.slots, workers * other.size.memory_bytes);
  if (!capacity_.node(node).available) return;
  const Room before = plus(capacity_.free_later(node), then.freed[node]);
  const Room more{std::uint64_t{workers} * other.size.slots, workers * other.size.memory_bytes};
  then.freed[node] = plus(then.freed[node], more);
  then.fitting += fitting(plus(before, more), then.job->size) - fitting(before, then.job->size);
}

/// All that the other has left.
void GangPlanner::give_all_back(Aftermath& then, const Job& other) const {
  const auto taken = then.taken.find(&other);
  for (const auto& [node, workers] : other.at) {
    std::uint32_t left = workers;
    if (taken != then.taken.end()) {
      if (const auto gone = taken->second.find(node); gone != taken->second.end()) left -= gone->second;
    }
    give_back(then, other, node, left);
  }
}

/// The workers above others' minimums that the job may take.
void GangPlanner::give_extras_back(Aftermath& then) const {
  for (const auto& groups : shrinkable_) {
    for (const auto& [group, jobs] : groups) {
      for (const auto& [rank, other] : jobs) {
        if (other == then.job || other->workers <= other->needed) continue;
        std::uint32_t extra = other->workers - other->needed;
        for (const Lease* lease : other->live) {
          if (extra == 0 || !may_be_taken(*other, *then.job, then.use)) break;
          const std::size_t node = capacity_.index_of(lease->node);
          if (node == Capacity::kUnknownNode || !capacity_.node(node).available) continue;
          give_back(then, *other, node, 1);
          if (other->demand.ends_ms > 0) ++then.taken[other][node];
          --extra;
        }
      }
    }
  }
}

/// Whether the other's queue can spare a worker above the minimum for the job.
bool GangPlanner::may_be_taken(const Job& other, const Job& job, const QueueUse& use) const {
  if (other.queue == job.queue) return other.demand.priority <= job.demand.priority;
  const auto meeting = tenants_.meet(job.queue, other.queue);
  return meeting.b_side == meeting.at || use.is_over_guarantee(meeting.b_side, other.size.slots - 1);
}

/// Those that start in this plan and end at a known moment, the first to end first.
std::vector<std::pair<std::int64_t, const GangPlanner::Job*>> GangPlanner::newly_ending(
    std::int64_t now_ms) const {
  std::vector<std::pair<std::int64_t, const Job*>> found;
  for (const Job* job : touched_) {
    if (job->started == 0 && job->workers > 0 && job->demand.lasts_ms > 0)
      found.emplace_back(now_ms + job->demand.lasts_ms, job);
  }
  std::ranges::sort(found, {},
                    [](const auto& one) { return std::pair(one.first, one.second->demand.order); });
  return found;
}

/// Whether it may soon preempt what is too young now.
bool GangPlanner::would_have_room_without_young(const Job& job) const {
  if (count_too_young(job) == 0) return false;
  Aftermath then = aftermath_of(job);
  for (const Job* other : ever_preemptible(job)) give_all_back(then, *other);
  return then.fitting >= static_cast<std::int64_t>(job.needed - job.workers);
}

bool GangPlanner::fits_now(std::size_t queue, const Shape& shape) const {
  const std::uint64_t slots = std::uint64_t{shape.needed} * shape.size.slots;
  // The cheap questions first: to count what fits may look at every node.
  return capacity_.placeable_slots() >= slots && !use_now_.find_limit(queue, slots) &&
         !use_later_.find_limit(queue, slots) && capacity_.fullest_placeable(shape.size) &&
         capacity_.count_placeable(shape.size) >= shape.needed;
}

/// Ends gangs in turn until the job has room; when that is, if anybody knows.
std::optional<std::int64_t> GangPlanner::end_until_room(Aftermath& then, std::int64_t now_ms) const {
  const Job& job = *then.job;
  const std::uint32_t missing = job.needed - job.workers;
  const auto is_there = [&] {
    return then.fitting >= missing &&
           !then.use.find_limit(job.queue, std::uint64_t{missing} * job.size.slots);
  };
  const auto fresh = newly_ending(now_ms);
  if (ending_.empty() && fresh.empty()) return std::nullopt;
  give_extras_back(then);
  std::optional<std::int64_t> at_ms;
  if (is_there()) at_ms = now_ms;
  auto next_fresh = fresh.begin();
  for (auto next = ending_.begin(); next != ending_.end() || next_fresh != fresh.end();) {
    const bool is_fresh =
        next == ending_.end() || (next_fresh != fresh.end() && next_fresh->first < (*next)->demand.ends_ms);
    const std::int64_t ends_ms = is_fresh ? next_fresh->first : (*next)->demand.ends_ms;
    if (at_ms && ends_ms > *at_ms) break;
    const Job& other = is_fresh ? *(next_fresh++)->second : **next++;
    if (&other == &job || other.workers == 0) continue;
    give_all_back(then, other);
    if (!at_ms && is_there()) at_ms = std::max(ends_ms, now_ms);
  }
  return at_ms;
}

GangPlanner::Reservation GangPlanner::reserve_later(const Job& job, std::size_t keeps_back, bool is_soon,
                                                    std::int64_t now_ms) const {
  const bool is_held = is_soon || would_have_room_without_young(job);
  const std::uint32_t missing = job.needed - job.workers;
  Aftermath then = aftermath_of(job);
  std::optional<std::int64_t> at_ms;
  if (!is_held) at_ms = end_until_room(then, now_ms);
  Reservation kept(at_ms ? then.use : use_later_);  // those without a limit may end at any moment
  kept.job = &job;
  kept.keeps_back = keeps_back;
  kept.at_ms = at_ms;
  kept.is_unknown = !is_held && !at_ms;
  kept.is_closed = is_held || (kept.is_unknown && !has_useless_node(job.size));
  if (at_ms) {
    kept.freed = std::move(then.freed);
    kept.spare = then.fitting - static_cast<std::int64_t>(missing);
  }
  kept.use.add(job.queue, std::uint64_t{missing} * job.size.slots, missing * job.size.memory_bytes);
  return kept;
}

/// Whether there is an available node on which no worker of that size could ever be.
bool GangPlanner::has_useless_node(const WorkerSize& size) const {
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    if (capacity_.node(node).available && count_fitting(capacity_.total(node), size) == 0) return true;
  }
  return false;
}

/// Workers for which there is less room at the reservation's moment when one of `size` is on the node then.
std::int64_t GangPlanner::loss_of(const Reservation& kept, const WorkerSize& size, std::size_t node) const {
  if (!kept.at_ms) return count_fitting(capacity_.total(node), kept.job->size) == 0 ? 0 : kEverything;
  const Room then = plus(capacity_.free_later(node), kept.freed[node]);
  return fitting(then, kept.job->size) -
         fitting(minus(then, {size.slots, size.memory_bytes}), kept.job->size);
}

std::size_t GangPlanner::choose_beside(const Job& job, std::span<const Reservation> reservations,
                                       std::span<const Bond> bonds) const {
  std::optional<std::tuple<std::int64_t, bool, std::uint64_t, std::uint64_t, std::size_t>> best;
  const auto consider = [&](std::size_t node, bool is_own) {
    const Room room = capacity_.placeable(node);
    if (!capacity_.node(node).available || count_fitting(room, job.size) == 0) return;
    std::int64_t loss = 0;
    for (std::size_t i = 0; i < reservations.size(); ++i) {
      if (bonds[i] != Bond::binds) continue;
      const std::int64_t one = loss_of(reservations[i], job.size, node);
      if (one > reservations[i].spare && one > 0) return;
      loss += one;
    }
    const std::tuple rank{loss, !is_own, room.slots, room.memory_bytes, node};
    if (!best || rank < *best) best = rank;
  };
  for (const auto& [node, workers] : job.at) consider(node, true);
  if (best && std::get<0>(*best) == 0) return std::get<4>(*best);
  std::size_t tried = 0;
  capacity_.for_each_placeable(job.size, [&](std::size_t node) {
    consider(node, false);
    return (!best || std::get<0>(*best) > 0) && ++tried < kMaxNodesTried;
  });
  return best ? std::get<4>(*best) : Capacity::kUnknownNode;
}

bool GangPlanner::place_beside(Job& job, std::uint32_t count, std::span<Reservation> reservations,
                               std::span<const Bond> bonds) {
  const std::uint64_t slots = std::uint64_t{count} * job.size.slots;
  if (use_now_.find_limit(job.queue, slots) || find_limit(job, count) ||
      capacity_.count_placeable(job.size) < count)
    return false;
  for (std::size_t i = 0; i < reservations.size(); ++i) {
    if (bonds[i] != Bond::binds) continue;
    if (reservations[i].is_closed || reservations[i].use.find_limit(job.queue, slots)) return false;
  }
  const std::size_t first_step = steps_.size();
  const auto touch_kept = [&](std::size_t i, std::size_t node, std::int64_t loss, bool more) {
    Reservation& kept = reservations[i];
    if (kept.is_closed) return;
    if (bonds[i] == Bond::none) {
      if (!kept.at_ms) return;
      const Room room{job.size.slots, job.size.memory_bytes};
      kept.freed[node] = more ? plus(kept.freed[node], room) : minus(kept.freed[node], room);
      return;
    }
    kept.spare -= more ? loss : -loss;
    more ? kept.use.add(job.queue, job.size.slots, job.size.memory_bytes)
         : kept.use.remove(job.queue, job.size.slots, job.size.memory_bytes);
  };
  std::vector<std::int64_t> losses;  // of each worker for each reservation
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t node = choose_beside(job, reservations, bonds);
    if (node == Capacity::kUnknownNode) break;
    for (const Reservation& kept : reservations)
      losses.push_back(kept.is_closed || !kept.at_ms ? 0 : loss_of(kept, job.size, node));
    place_one(job, node);
    for (std::size_t r = 0; r < reservations.size(); ++r)
      touch_kept(r, node, losses[losses.size() - reservations.size() + r], true);
  }
  const std::size_t placed = steps_.size() - first_step;
  if (placed == count) {
    record_placements(job, first_step);
    return true;
  }
  for (std::size_t i = placed; i-- > 0;) {
    for (std::size_t r = 0; r < reservations.size(); ++r)
      touch_kept(r, steps_[first_step + i].node, losses[i * reservations.size() + r], false);
  }
  undo_from(first_step);
  return false;
}

bool GangPlanner::could_shrink(const Job& job, const Job& beneficiary) const {
  if (!job.demand.preemptible || job.workers < job.needed) return false;
  if (job.queue == beneficiary.queue) return job.demand.priority <= beneficiary.demand.priority;
  const auto meeting = tenants_.meet(beneficiary.queue, job.queue);
  return meeting.b_side == meeting.at ||
         use_later_.slots(meeting.b_side) >= tenants_[meeting.b_side].guaranteed;
}

}  // namespace ds::scheduler
