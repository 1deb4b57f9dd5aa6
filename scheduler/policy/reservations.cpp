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

}  // namespace

std::int64_t GangPlanner::fitting(std::size_t node, const Room& room, const Ask& ask) const {
  if (ask.only && *ask.only != node) return 0;
  return static_cast<std::int64_t>(capacity_.fitting(node, room, ask.piece));
}

/// Whether a piece could ever be on the node.
bool GangPlanner::could_hold(std::size_t node, const Ask& ask) const {
  return fitting(node, capacity_.total(node), ask) > 0;
}

GangPlanner::Aftermath GangPlanner::aftermath_of(const Job& job) const {
  Ask ask = ask_of(job, job.needed - job.workers);
  std::int64_t there = 0;
  if (!ask.only) {
    there = static_cast<std::int64_t>(capacity_.count_later(ask.piece));
  } else if (*ask.only != Capacity::kUnknownNode) {
    there = fitting(*ask.only, capacity_.free_later(*ask.only), ask);
  }
  return {.job = &job,
          .ask = std::move(ask),
          .freed = std::vector<Room>(capacity_.node_count()),
          .use = use_later_,
          .fitting = there};
}

void GangPlanner::give_back(Aftermath& then, const Job& other, std::size_t node,
                            std::uint32_t workers) const {
  then.use.remove(other.queue, room_of(other.size, workers));
  free_in_thought(then, other, node, workers);
}

/// The room alone: its queue has it still.
void GangPlanner::free_in_thought(Aftermath& then, const Job& other, std::size_t node,
                                  std::uint32_t workers) const {
  if (!capacity_.node(node).available) return;
  const Room before = plus(capacity_.free_later(node), then.freed[node]);
  const Room more = room_of(other.size, workers);
  then.freed[node] = plus(then.freed[node], more);
  then.fitting += fitting(node, plus(before, more), then.ask) - fitting(node, before, then.ask);
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

/// The workers above others' minimums that the job may take. Not of one that will rest: it may grow, or begin
/// again, shortly before the moment that the job is told, and then it keeps them.
void GangPlanner::give_extras_back(Aftermath& then) const {
  const std::uint32_t missing = then.job->needed - then.job->workers;
  for (const auto& groups : shrinkable_) {
    for (const auto& [group, jobs] : groups) {
      for (const auto& [rank, other] : jobs) {
        if (other == then.job || other->workers <= other->needed) continue;
        if (other->demand.will_rest && !has_claim(*then.job, *other, missing)) continue;
        std::uint32_t extra = other->workers - other->needed;
        for (const Lease* lease : other->live) {
          if (extra == 0 || !may_be_taken(*other, *then.job, missing, then.use)) break;
          const std::size_t node = capacity_.index_of(lease->node);
          if (node == Capacity::kUnknownNode || !capacity_.node(node).available) continue;
          give_back(then, *other, node, 1);
          if (other->demand.ends_ms > 0 || other->demand.likely_ends_ms > 0) ++then.taken[other][node];
          --extra;
        }
      }
    }
  }
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
  for (const bool are_young : {false, true}) {
    for (const Job* other : ever_preemptible(job, are_young)) give_all_back(then, *other);
  }
  return then.has_room();
}

bool GangPlanner::fits_now(std::size_t queue, const Shape& shape) const {
  const Room room = room_of(shape.size, shape.needed);
  // The cheap questions first: to count what fits may look at every node.
  if (capacity_.placeable_slots() < room.slots || use_now_.find_limit(queue, room) ||
      use_later_.find_limit(queue, room) || (shape.is_fixed && use_claimed_.find_held(queue, room)) ||
      !capacity_.fullest_placeable(shape.size))
    return false;
  return shape.is_together ? capacity_.fullest_placeable(together(shape.size, shape.needed)).has_value()
                           : capacity_.count_placeable(shape.size) >= shape.needed;
}

/// Ends gangs in turn until the job has room; when that is, if anybody knows.
std::optional<std::int64_t> GangPlanner::end_until_room(Aftermath& then, std::int64_t now_ms) const {
  const Job& job = *then.job;
  const std::uint32_t missing = job.needed - job.workers;
  const auto is_there = [&] {
    return then.has_room() && !then.use.find_limit(job.queue, room_of(job.size, missing));
  };
  auto fresh = newly_ending(now_ms);
  std::int64_t first_ms = now_ms;
  bool has_extras = true;
  if (job.demand.has_promise) {
    const auto earlier = promises_before(job, now_ms);
    if (!earlier) return std::nullopt;
    has_extras = may_count_on_extras(job, *earlier);
    for (const EarlierPromise& promise : *earlier) {
      hold_back(then, *promise.job);
      first_ms = std::max(first_ms, promise.starts_by_ms);
      fresh.emplace_back(promise.ends_by_ms, promise.job);
    }
    std::ranges::stable_sort(fresh, {}, [](const auto& one) { return one.first; });
  }
  if (ending_.empty() && fresh.empty()) return std::nullopt;
  if (has_extras) give_extras_back(then);
  std::optional<std::int64_t> at_ms;
  if (is_there()) at_ms = first_ms;
  auto next_fresh = fresh.begin();
  for (auto next = ending_.begin(); next != ending_.end() || next_fresh != fresh.end();) {
    const bool is_fresh =
        next == ending_.end() || (next_fresh != fresh.end() && next_fresh->first < (*next)->demand.ends_ms);
    const std::int64_t ends_ms = is_fresh ? next_fresh->first : (*next)->demand.ends_ms;
    if (at_ms && ends_ms > *at_ms) break;
    const Job& other = is_fresh ? *(next_fresh++)->second : **next++;
    if (&other == &job) continue;
    if (is_fresh && other.workers == 0) {
      let_go(then, other);
    } else {
      give_all_back(then, other);
    }
    if (!at_ms && is_there()) at_ms = std::max(ends_ms, first_ms);
  }
  return at_ms;
}

/// The same where gangs without a limit end when they are likely to.
std::optional<std::int64_t> GangPlanner::likely_room(const Job& job, std::int64_t now_ms) const {
  if (likely_ending_.empty()) return std::nullopt;
  Aftermath then = aftermath_of(job);
  give_extras_back(then);
  const Room wanted = room_of(job.size, job.needed - job.workers);
  const auto fresh = newly_ending(now_ms);
  auto next_fresh = fresh.begin();
  auto next_sure = ending_.begin();
  auto next_likely = likely_ending_.begin();
  for (;;) {
    constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
    const std::int64_t fresh_ms = next_fresh == fresh.end() ? kNever : next_fresh->first;
    const std::int64_t sure_ms = next_sure == ending_.end() ? kNever : (*next_sure)->demand.ends_ms;
    const std::int64_t likely_ms =
        next_likely == likely_ending_.end() ? kNever : (*next_likely)->demand.likely_ends_ms;
    const std::int64_t ends_ms = std::min({fresh_ms, sure_ms, likely_ms});
    if (ends_ms == kNever) return std::nullopt;
    const Job& other = fresh_ms == ends_ms  ? *(next_fresh++)->second
                       : sure_ms == ends_ms ? **next_sure++
                                            : **next_likely++;
    if (&other == &job || other.workers == 0) continue;
    give_all_back(then, other);
    if (then.has_room() && !then.use.find_limit(job.queue, wanted)) return std::max(ends_ms, now_ms);
  }
}

/// What is gone of its queue's minimums, at least, when the queue's limit of GPUs allows the job, which
/// passes no other: one of those must have ended that have them now. Nothing of one that may give a worker
/// back, or lose one, and keep its minimum.
Room GangPlanner::gone_for_gpu_limit(const Job& job) const {
  const auto limits = find_limits(job, job.needed - job.workers);
  if (limits.size() != 1 || !limits.front().is_of_gpus || limits.front().queue != job.queue) return {};
  std::optional<Room> least;
  const auto look_at = [&](const Job* other) {
    if (other->queue != job.queue || other->size.gpus == 0 || other->workers == 0) return;
    const bool is_whole = other->workers == other->needed && !other->demand.works_with_fewer;
    const Room gone = is_whole ? room_of(other->size, other->needed) : Room{};
    if (!least) least = gone;
    least = Room{std::min(least->slots, gone.slots), 0, std::min(least->gpus, gone.gpus)};
  };
  for (const Job* other : running_) look_at(other);
  for (const Job* other : touched_) look_at(other);
  return least.value_or(Room{});
}

GangPlanner::Reservation GangPlanner::reserve_later(const Job& job, std::size_t keeps_back, bool is_soon,
                                                    std::int64_t now_ms) const {
  if (tenants_.has_tenants() && job.demand.has_promise && !is_soon) {
    if (const auto at_ms = find_claimed_room(job, now_ms)) {
      Reservation claimed(use_later_);
      claimed.job = &job;
      claimed.ask = ask_of(job, job.needed - job.workers);
      claimed.at_ms = at_ms;
      claimed.is_claimed = true;
      return claimed;
    }
  }
  const bool waits_for_young = !is_soon && would_have_room_without_young(job);
  const bool is_held = is_soon || waits_for_young;
  const std::uint32_t missing = job.needed - job.workers;
  Aftermath then = aftermath_of(job);
  std::optional<std::int64_t> at_ms;
  if (!is_held) at_ms = end_until_room(then, now_ms);
  Reservation kept(at_ms ? then.use : use_later_);  // those without a limit may end at any moment
  kept.job = &job;
  kept.keeps_back = keeps_back;
  kept.at_ms = at_ms;
  kept.is_unknown = !is_held && !at_ms;
  if (kept.is_unknown && job.size.gpus > 0 && tenants_.has_tenants()) kept.gone = gone_for_gpu_limit(job);
  if (kept.is_unknown && !job.demand.has_promise) kept.likely_ms = likely_room(job, now_ms);
  kept.is_closed = is_soon || ((waits_for_young || kept.is_unknown) && !has_useless_node(then.ask));
  if (at_ms) {
    kept.freed = std::move(then.freed);
    kept.spare = then.fitting - then.owed - static_cast<std::int64_t>(then.ask.pieces);
  }
  kept.ask = std::move(then.ask);
  kept.use.add(job.queue, room_of(job.size, missing));
  return kept;
}

/// Whether one of `size`, for which the node has room, is in no piece's way there, whenever that comes: none
/// could ever be there, or GPUs are what limits them, which it leaves alone.
bool GangPlanner::is_in_nobodys_way(std::size_t node, const Ask& ask, const WorkerSize& size) const {
  if (!could_hold(node, ask)) return true;
  if (size.gpus > 0 || ask.piece.gpus == 0) return false;
  const std::uint64_t gpus = capacity_.total(node).gpus;
  Room left = minus(capacity_.free_later(node), room_of(size, 1));
  left.gpus = gpus;
  return count_fitting(left, ask.piece) >= gpus / ask.piece.gpus;
}

/// Whether there is an available node on which something may start that is in no such piece's way.
bool GangPlanner::has_useless_node(const Ask& ask) const {
  const WorkerSize least{.slots = kLeastSlots};
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    if (!capacity_.node(node).available) continue;
    if (!could_hold(node, ask)) return true;
    if (count_fitting(capacity_.placeable(node), least) > 0 && is_in_nobodys_way(node, ask, least))
      return true;
  }
  return false;
}

/// Pieces for which there is less room at the reservation's moment when one of `size` is on the node then.
std::int64_t GangPlanner::loss_of(const Reservation& kept, const WorkerSize& size, std::size_t node) const {
  if (!kept.at_ms) return is_in_nobodys_way(node, kept.ask, size) ? 0 : kEverything;
  const Room then = plus(capacity_.free_later(node), kept.freed[node]);
  return fitting(node, then, kept.ask) - fitting(node, minus(then, room_of(size, 1)), kept.ask);
}

/// For the first of so many pieces. Of nodes on which it is equally little in others' way those come first
/// that the job's rule prefers.
std::size_t GangPlanner::choose_beside(const Job& job, const Ask& ask, std::uint32_t pieces,
                                       std::span<const Reservation> reservations,
                                       std::span<const Bond> bonds) const {
  const bool is_spread = job.demand.placement == PlacementRule::spread;
  std::vector<unsigned> kinds;  // of one that is packed: once it has to go where it has none
  std::optional<std::tuple<std::int64_t, bool, std::uint32_t, PackRank, std::string_view>> best;
  const auto chosen = [&] { return capacity_.index_of(std::get<4>(*best)); };
  const auto consider = [&](std::size_t node, std::uint32_t own) {
    const Room room = capacity_.placeable(node);
    if (!capacity_.node(node).available || fitting(node, room, ask) == 0) return;
    std::int64_t loss = 0;
    for (std::size_t i = 0; i < reservations.size(); ++i) {
      if (bonds[i] != Bond::binds) continue;
      if (reservations[i].is_claimed) {  // whether it is in its way is asked of all pieces together
        loss += could_hold(node, reservations[i].ask) ? 1 : 0;
        continue;
      }
      const auto one = cost_of(reservations[i], job, ask.piece, node);
      if (!one) return;
      loss += *one;
    }
    const std::uint32_t preference = is_spread ? own : own > 0 ? 0 : 1;
    const PackRank packed = kinds.empty() ? PackRank{0, 0, capacity_.fill_rank(node, room, ask.piece)}
                                          : pack_rank(job, node, room, pieces, kinds);
    const std::tuple rank{loss, is_shunned(job, node), preference, packed,
                          std::string_view(capacity_.node(node).id)};
    if (!best || rank < *best) best = rank;
  };
  const auto is_in_no_way = [&] {
    return best && std::get<0>(*best) == 0 && !std::get<1>(*best) && (!is_spread || std::get<2>(*best) == 0);
  };
  for (const auto& [node, workers] : job.at) consider(node, workers);
  if (is_in_no_way()) return chosen();
  if (ask.only) return best ? chosen() : Capacity::kUnknownNode;
  if (!is_spread && !is_together(job)) {
    kinds = rank_kinds(job, pieces, job.at, false);
    const std::size_t node = choose_to_pack(job, pieces, kinds);
    if (!job.at.contains(node)) consider(node, 0);
    if (is_in_no_way()) return chosen();
  }
  const auto is_best = [&] {
    if (!is_in_no_way() || kinds.empty()) return is_in_no_way();
    const auto& [kind, unplaced, fill] = std::get<3>(*best);
    return unplaced == 0 && (job.size.gpus == 0 || kind == *std::ranges::min_element(kinds));
  };
  const auto look_for = [&](const WorkerSize& size) {
    std::size_t tried = 0;
    capacity_.for_each_placeable(size, [&](std::size_t node) {
      if (!job.at.contains(node)) consider(node, 0);
      return !is_best() && ++tried < kMaxNodesTried;
    });
  };
  // Those that hold all of it may be behind more nodes than are looked at.
  if (!kinds.empty() && pieces > 1) look_for(together(job.size, pieces));
  look_for(ask.piece);
  return best ? chosen() : Capacity::kUnknownNode;
}

bool GangPlanner::place_beside(Job& job, std::uint32_t count, std::span<Reservation> reservations,
                               std::span<const Bond> bonds, std::int64_t now_ms) {
  const Room wanted = room_of(job.size, count);
  if (use_now_.find_limit(job.queue, wanted) || find_limit(job, count) || would_keep_guarantees(job, count) ||
      !can_place(job, count))
    return false;
  const Ask ask = ask_of(job, count);
  const std::uint32_t workers = count / ask.pieces;  // of a piece
  for (std::size_t i = 0; i < reservations.size(); ++i) {
    if (bonds[i] != Bond::binds || reservations[i].is_claimed) continue;
    if (reservations[i].is_closed || reservations[i].use.find_limit(job.queue, wanted)) return false;
  }
  const std::size_t first_step = steps_.size();
  const auto touch_kept = [&](std::size_t i, std::size_t node, std::int64_t loss, bool more) {
    Reservation& kept = reservations[i];
    if (kept.is_closed || kept.is_claimed) return;
    const Room room = room_of(ask.piece, 1);
    if (bonds[i] == Bond::none) {  // what starts next must not hide behind it: it is gone by then
      const auto change = [&](Room& freed) { freed = more ? plus(freed, room) : minus(freed, room); };
      if (kept.at_ms) change(kept.freed[node]);
      for (WhenEnded& then : kept.ends) change(then.freed[node]);
      return;
    }
    kept.spare -= more ? loss : -loss;
    more ? kept.use.add(job.queue, room) : kept.use.remove(job.queue, room);
  };
  std::vector<std::pair<WhenEnded*, std::int64_t>> spares;  // as they are before
  for (Reservation& kept : reservations) {
    for (WhenEnded& then : kept.ends) spares.emplace_back(&then, then.spare);
  }
  std::vector<std::int64_t> losses;  // of each piece for each reservation
  for (std::uint32_t i = 0; i < ask.pieces; ++i) {
    const std::size_t node = choose_beside(job, ask, ask.pieces - i, reservations, bonds);
    if (node == Capacity::kUnknownNode) break;
    for (const Reservation& kept : reservations)
      losses.push_back(kept.is_closed || kept.is_claimed || !kept.at_ms ? 0 : loss_of(kept, ask.piece, node));
    for (std::size_t r = 0; r < reservations.size(); ++r) {
      if (bonds[r] != Bond::none) spend_spare(reservations[r], ask.piece, node);
    }
    for (std::uint32_t worker = 0; worker < workers; ++worker) place_one(job, node);
    for (std::size_t r = 0; r < reservations.size(); ++r)
      touch_kept(r, node, losses[losses.size() - reservations.size() + r], true);
  }
  const std::size_t placed = steps_.size() - first_step;
  if (placed == count) {
    touch(job);  // as one that has just started
    if (leaves_claimed_room(reservations, now_ms)) {
      record_placements(job, first_step);
      return true;
    }
  }
  for (std::size_t i = placed / workers; i-- > 0;) {
    for (std::size_t r = 0; r < reservations.size(); ++r)
      touch_kept(r, steps_[first_step + i * workers].node, losses[i * reservations.size() + r], false);
  }
  undo_from(first_step);
  for (const auto& [then, spare] : spares) then->spare = spare;
  return false;
}

bool GangPlanner::could_shrink(const Job& job, const Job& beneficiary) const {
  if (!job.demand.preemptible || job.workers < job.needed) return false;
  const std::uint32_t missing = beneficiary.needed - beneficiary.workers;
  if (job.demand.will_rest && !has_claim(beneficiary, job, missing)) return false;
  if (beneficiary.demand.has_promise) {  // of which its moment may not count on any
    const auto earlier = promises_before(beneficiary, 0);
    if (!earlier || !may_count_on_extras(beneficiary, *earlier)) return false;
  }
  if (job.queue == beneficiary.queue) return yields_to(job, beneficiary);
  const auto meeting = tenants_.meet(beneficiary.queue, job.queue);
  const Room one = room_of(job.size, 1);
  return meeting.b_side == meeting.at || use_later_.can_spare(meeting.b_side, one, one) ||
         (use_later_.is_over_guarantee(meeting.b_side, one, one) && is_entitled(beneficiary, job, missing));
}

}  // namespace ds::scheduler
