// What may start behind a job whose moment nobody knows, since it delays it in no case; see
// `unknown_ends.hpp`.
#include <algorithm>
#include <limits>

#include "scheduler/policy/aftermath.hpp"

namespace ds::scheduler {

/// Whether it might grow into room that the waiting job could not have back: not where it may not grow while
/// that one waits (`Planning::may_grow`), nor where its extra workers are there for that one. One that is
/// picky may take any of its workers, not just the newest: then nobody knows where those are that are left.
bool GangPlanner::could_outgrow(const Job& job, const Job& waiting) {
  if (job.demand.workers.max <= job.needed) return false;
  if (job.demand.priority > waiting.demand.priority || is_picky(waiting)) return true;
  return job.queue != waiting.queue && job.demand.preemptible && !job.demand.will_rest;
}

/// What of the other's workers may leave, as a whole and on its own: first those above its minimum, then the
/// rest. Of those above it that the waiting job can have now none is left, but in `taken`.
std::optional<std::vector<MayEnd>> GangPlanner::parts_that_may_end(const Job& other, const Job& waiting,
                                                                   const Ask& ask,
                                                                   std::map<std::size_t, Room>& taken) const {
  if (!other.is_wanted || other.workers < other.needed || could_outgrow(other, waiting)) return std::nullopt;
  std::map<std::size_t, std::uint32_t> rest = other.at, above;
  std::uint32_t extra = other.workers - other.needed;
  for (const Lease* lease : other.live) {
    if (extra == 0) break;
    if (!is_available(*lease)) continue;
    const std::size_t node = capacity_.index_of(lease->node);
    ++above[node];
    --rest.at(node);
    --extra;
  }
  const bool is_taken = other.queue == waiting.queue && other.demand.preemptible && !other.demand.will_rest &&
                        !other.demand.is_resting;
  std::vector<MayEnd> parts;
  const auto add = [&](const std::map<std::size_t, std::uint32_t>& workers, bool may_be_had) {
    MayEnd part;
    for (const auto& [node, count] : workers) {
      if (count == 0 || !capacity_.node(node).available) continue;
      const Room room = room_of(other.size, count);
      if (may_be_had) {
        taken[node] = plus(taken[node], room);
        continue;
      }
      part.all = plus(part.all, room);
      if (could_hold(node, ask)) part.at.emplace(node, room);
    }
    if (!part.at.empty() || (relocatable_ > 0 && part.all.slots > 0)) parts.push_back(std::move(part));
  };
  add(above, is_taken);
  add(rest, false);
  return parts;
}

/// Not where more may happen than ends: a gang that lacks workers gets them though others wait; several that
/// wait, for whose sake workers may move, could each change where the other finds room. Where workers may
/// move for this one alone, it may have room as soon as there is enough on all nodes together.
void GangPlanner::open_behind_unknown(Reservation& kept, std::span<const Reservation> all) const {
  const Job& job = *kept.job;
  if (!kept.is_unknown || job.demand.has_promise || job.workers > 0 || !stalled_.empty()) return;
  if (occupants_.size() > kMaxGangsThatEnd || (relocatable_ > 0 && all.size() > 1)) return;
  if (use_later_.find_limit(job.queue, room_of(job.size, job.needed))) return;  // it waits for more than room
  const Aftermath now = aftermath_of(job);
  const Ask& ask = now.ask;
  WaitingRoom waiting{.free = {},
                      .elsewhere = now.fitting,
                      .needed = static_cast<std::int64_t>(ask.pieces),
                      .fits = [&](std::size_t node, const Room& room) { return fitting(node, room, ask); },
                      .all = capacity_.free_later()};
  const bool are_any_picky =
      std::ranges::any_of(all, [](const Reservation& one) { return is_picky(*one.job); });
  std::vector<MayEnd> gangs;
  std::map<std::size_t, Room> taken;
  for (const std::string& name : occupants_) {
    const Job& other = *jobs_.at(name);
    if (other.workers == 0) continue;  // all that it has is stopping
    auto parts = parts_that_may_end(other, job, ask, taken);
    if (!parts || (are_any_picky && other.demand.workers.max > other.needed)) return;
    std::ranges::move(*parts, std::back_inserter(gangs));
  }
  const auto add_node = [&](std::size_t node) {
    const Room room = capacity_.free_later(node);
    if (waiting.free.emplace(node, room).second) waiting.elsewhere -= fitting(node, room, ask);
  };
  for (const MayEnd& gang : gangs) {
    for (const auto& [node, room] : gang.at) add_node(node);
  }
  for (const auto& [node, room] : taken) {
    add_node(node);
    waiting.free[node] = plus(waiting.free[node], room);
    waiting.all = plus(waiting.all, room);
  }
  if (relocatable_ > 0) {
    waiting.fits_if_moved = [&](const Room& room) {
      return static_cast<std::int64_t>(count_fitting(room, ask.piece));
    };
  }
  for (const Reservation& other : all) {
    if (other.job == &job) continue;
    waiting.others +=
        static_cast<std::int64_t>(other.ask.pieces * most_displaced(other.ask.piece, ask.piece));
  }
  auto ends = find_ends(waiting, std::move(gangs));
  if (!ends) return;
  kept.is_closed = false;
  kept.is_open = true;
  kept.ends = *std::move(ends);
  for (WhenEnded& then : kept.ends) {
    for (const auto& [node, room] : taken) then.freed[node] = plus(then.freed[node], room);
  }
}

/// Pieces for which there is less room after these ends when one of `size` is on the node.
std::int64_t GangPlanner::loss_after(const WhenEnded& then, const Ask& ask, const WorkerSize& size,
                                     std::size_t node) const {
  const auto freed = then.freed.find(node);
  const Room free = capacity_.free_later(node);
  const Room room = freed == then.freed.end() ? free : plus(free, freed->second);
  return fitting(node, room, ask) - fitting(node, minus(room, room_of(size, 1)), ask);
}

std::optional<std::int64_t> GangPlanner::cost_of(const Reservation& kept, const Job& job,
                                                 const WorkerSize& size, std::size_t node) const {
  if (kept.at_ms || !kept.is_open || could_outgrow(job, *kept.job) ||
      is_in_nobodys_way(node, kept.ask, size)) {
    const std::int64_t loss = loss_of(kept, size, node);
    return loss > kept.spare && loss > 0 ? std::nullopt : std::optional(loss);
  }
  std::int64_t most = 0;
  for (const WhenEnded& then : kept.ends) {
    const std::int64_t loss = loss_after(then, kept.ask, size, node);
    if (loss > 0 && loss > then.spare) return std::nullopt;
    most = std::max(most, loss);
  }
  return most;
}

/// To be told before one of `size` is placed there.
void GangPlanner::spend_spare(Reservation& kept, const WorkerSize& size, std::size_t node) const {
  for (WhenEnded& then : kept.ends) then.spare -= loss_after(then, kept.ask, size, node);
}

}  // namespace ds::scheduler
