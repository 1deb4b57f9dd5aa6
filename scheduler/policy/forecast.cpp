// When a job that waits starts: bounds that hold, not what a simulation of one future says. A gang that ends
// earlier than another time can make a later one start later (Graham, 1969), so no single future bounds the
// others.
#include "scheduler/policy/forecast.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "scheduler/policy/aftermath.hpp"
#include "scheduler/policy/planning.hpp"

namespace ds::scheduler {

/// The job alone behind what runs: with nobody else in the line, gangs ended as early as may be, and all gone
/// that could be taken for anybody who waits.
std::int64_t GangPlanner::earliest_room(const Job& job, std::uint32_t most_urgent, const GangEnds& ends,
                                        std::int64_t now_ms) const {
  if (is_together(job) && job.workers > 0) return now_ms;  // it could lose them, and start elsewhere
  Aftermath then = aftermath_of(job);
  std::multimap<std::int64_t, const Job*> ending;
  // Of all nodes together: who goes to another node gives back nothing of it.
  Room free = capacity_.free_later();
  std::multimap<std::int64_t, Room> given_back;
  const auto look_at = [&](const Job* other) {
    if (other == &job || other->workers == 0) return;
    // A picky job may take other workers than the newest: where the rest of an elastic gang will be is not
    // known.
    const bool may_go =
        other->workers < other->needed ||
        (other->demand.preemptible &&
         (tenants_.has_tenants() || (picky_ > 0 && other->demand.workers.max > other->needed) ||
          other->demand.priority < most_urgent ||
          std::ranges::any_of(other->live, [&](const Lease* lease) { return !is_available(*lease); })));
    const std::int64_t ends_ms = may_go ? now_ms : std::max(ends.earliest_ms(other->demand.job), now_ms);
    ending.emplace(other->demand.can_relocate ? now_ms : ends_ms, other);
    std::uint32_t here = 0;
    for (const auto& [node, workers] : other->at) here += capacity_.node(node).available ? workers : 0;
    const Room room = room_of(other->size, here);
    ends_ms == now_ms ? void(free = plus(free, room)) : void(given_back.emplace(ends_ms, room));
    if (may_go || !other->demand.preemptible || other->workers == other->needed) return;
    // Its newest workers go first.
    for (std::size_t i = 0; i < std::min<std::size_t>(other->workers - other->needed, other->live.size());
         ++i) {
      const std::size_t node = capacity_.index_of(other->live[i]->node);
      if (node == Capacity::kUnknownNode) continue;
      free = plus(free, room_of(other->size, 1));
      if (other->demand.can_relocate) continue;  // all of it counts as gone
      give_back(then, *other, node, 1);
      ++then.taken[other][node];
    }
  };
  for (const Job* other : running_) look_at(other);
  for (const Job* other : touched_) {
    if (other->started == 0) look_at(other);
  }
  std::int64_t from_ms = now_ms;
  for (const auto& [ends_ms, other] : ending) {
    if (then.has_room()) break;
    give_all_back(then, *other);
    if (then.has_room()) from_ms = ends_ms;
  }
  const Room wanted = room_of(then.ask.piece, then.ask.pieces);
  const auto is_enough = [&] {
    return free.slots >= wanted.slots && free.memory_bytes >= wanted.memory_bytes && free.gpus >= wanted.gpus;
  };
  for (const auto& [ends_ms, room] : given_back) {
    if (is_enough()) break;
    free = plus(free, room);
    if (is_enough()) from_ms = std::max(from_ms, ends_ms);
  }
  return from_ms;
}

/// Of the gangs that run, those placed in this plan too, when the last has ended; none when nobody knows, or
/// when one of them could grow into another job's room for good. Those without a limit that cannot grow stay
/// in `then`.
std::optional<std::int64_t> GangPlanner::end_all_limited(Aftermath& then, std::int64_t now_ms) const {
  std::int64_t last_ms = now_ms;
  bool is_known = true;
  const auto look_at = [&](const Job* other) {
    if (other->workers == 0) return;
    const bool is_new = other->started == 0;
    const bool has_limit = is_new ? other->demand.lasts_ms > 0 : other->demand.ends_ms > 0;
    if (!has_limit) {
      is_known = is_known && other->demand.workers.max <= other->needed && other->workers <= other->needed &&
                 !other->demand.can_relocate;
      return;
    }
    last_ms = std::max(last_ms, is_new ? now_ms + other->demand.lasts_ms : other->demand.ends_ms);
    give_all_back(then, *other);
  };
  for (const Job* other : running_) look_at(other);
  for (const Job* other : touched_) {
    if (other->started == 0) look_at(other);
  }
  return is_known ? std::optional(last_ms) : std::nullopt;
}

/// Whether one that runs could be preempted for a job of this priority and would then be ahead of `job`.
bool GangPlanner::could_come_ahead(const Job& job, std::uint32_t priority) const {
  return std::ranges::any_of(running_, [&](const Job* other) {
    return other->demand.preemptible && !other->demand.has_promise && other->demand.priority < priority &&
           Before()(other, const_cast<Job*>(&job));
  });
}

bool GangPlanner::fits_after(const Aftermath& then, const Job& job) const {
  const Ask ask = ask_of(job, job.needed);
  std::int64_t count = 0;
  for (std::size_t node = 0; node < capacity_.node_count() && count < ask.pieces; ++node) {
    if (!capacity_.node(node).available) continue;
    count += fitting(node, plus(capacity_.free_later(node), then.freed[node]), ask);
  }
  return count >= ask.pieces;
}

std::optional<StartForecast> Planning::forecast(const Job& job, const GangEnds& ends) {
  if (job.workers >= job.needed) return StartForecast{now_ms_, now_ms_};
  const bool is_held = planner_.will_be_pending(job);
  if (!job.is_pending && !is_held) return std::nullopt;
  std::uint32_t most_urgent = is_held ? job.demand.priority : 0;
  for (std::size_t queue = 0; queue < tenants_.queues.size(); ++queue) {
    const auto& line = planner_.short_of(queue);
    for (const Job* one : line) {  // those with a promise come first, of any priority
      most_urgent = std::max(most_urgent, one->demand.priority);
      if (!one->demand.has_promise) break;
    }
  }
  StartForecast forecast;
  if (is_held) {  // who will be before it then nobody knows
    forecast.from_ms =
        std::max(job.demand.held_until_ms, planner_.earliest_room(job, most_urgent, ends, now_ms_));
    return forecast;
  }
  const auto told = told_.find(&job);
  const bool is_soon = told != told_.end() && told->second.room_is_coming;  // and kept for it
  forecast.from_ms = is_soon ? now_ms_ : planner_.earliest_room(job, most_urgent, ends, now_ms_);
  forecast.to_ms = latest_start(job, ends);
  return forecast;
}

/// The first in the line starts at its promised moment. When it has started the next one is the first, and it
/// starts at the latest when all have ended that can run then.
std::optional<std::int64_t> Planning::latest_start(const Job& job, const GangEnds& ends) {
  if (tenants_.has_tenants()) return latest_among_tenants(job, ends);
  const auto& line = planner_.short_of(TenantTree::kRoot);
  if (planner_.has_partial_gangs() || line.size() > kMaxForecastJobs) return std::nullopt;
  make_reservations();
  if (job.demand.has_promise) return certain_start(job, ends.leaving_ms);
  if (reservations_.empty() || !reservations_.front().at_ms) return std::nullopt;
  const Job& first = *reservations_.front().job;
  if (first.demand.has_promise) return std::nullopt;  // who is behind it may be more urgent
  if (planner_.could_come_ahead(job, first.demand.priority)) return std::nullopt;
  std::int64_t latest_ms = *reservations_.front().at_ms + ends.leaving_ms;
  if (&first == &job) return latest_ms;
  GangPlanner::Aftermath then = planner_.aftermath_of(job);
  const auto last_ms = planner_.end_all_limited(then, now_ms_);
  if (!last_ms) return std::nullopt;
  std::int64_t longest_ms = *last_ms - now_ms_;
  std::map<GangPlanner::Shape, bool> fits;
  bool is_ahead = true;
  std::int64_t turns = 0;
  for (const Job* one : line) {
    if (one->workers >= one->needed) continue;  // it starts in this plan
    if (is_ahead) {
      const auto [known, is_new] = fits.try_emplace(shape_of(*one), false);
      if (is_new) known->second = planner_.fits_after(then, *one);
      if (!known->second) return std::nullopt;
      ++turns;
    }
    is_ahead = is_ahead && one != &job;
    if (one == &job) continue;
    if (one->demand.lasts_ms == 0) return std::nullopt;
    longest_ms = std::max(longest_ms, one->demand.lasts_ms);
  }
  for (std::int64_t turn = 1; turn < turns; ++turn)
    latest_ms = std::max(*last_ms, latest_ms + longest_ms) + ends.leaving_ms;
  return latest_ms;
}

}  // namespace ds::scheduler
