// What is certain of those that were promised a moment before another job, and wait too.
#include <algorithm>

#include "scheduler/policy/aftermath.hpp"
#include "scheduler/policy/planner.hpp"

namespace ds::scheduler {

/// Those too that can't start just now, since a node is closed or they back off: they may again.
std::vector<const GangPlanner::Job*> GangPlanner::waiting_promises_before(const Job& job) const {
  std::vector<const Job*> found;
  const auto look_at = [&](const Jobs& line) {
    for (const Job* one : line) {  // those with a promise come first
      if (!one->demand.has_promise) break;
      if (one->workers == 0 && one != &job && Before()(one, &job)) found.push_back(one);
    }
  };
  for (const Jobs& line : short_) look_at(line);
  look_at(impossible_);
  return found;
}

std::optional<std::vector<GangPlanner::EarlierPromise>> GangPlanner::promises_before(
    const Job& job, std::int64_t now_ms) const {
  std::vector<EarlierPromise> found;
  for (const Job* one : waiting_promises_before(job)) {
    if (one->demand.lasts_ms == 0 || one->demand.starts_by_ms == 0) return std::nullopt;
    const std::int64_t starts_by_ms = std::max(one->demand.starts_by_ms, now_ms);
    found.push_back({one, starts_by_ms, starts_by_ms + one->demand.lasts_ms});
  }
  if (found.size() >= kMaxWaitingPromises) return std::nullopt;
  return found;
}

/// As if its minimum were there, wherever that leaves least room; where room is kept for it, it is there.
void GangPlanner::hold_back(Aftermath& then, const Job& earlier) const {
  if (!earlier.reserved_on.empty()) return;
  const Ask ask = ask_of(earlier, earlier.needed);
  then.use.add(earlier.queue, room_of(earlier.size, earlier.needed));
  then.owed += static_cast<std::int64_t>(ask.pieces * most_displaced(ask.piece, then.ask.piece));
}

/// When it has ended.
void GangPlanner::let_go(Aftermath& then, const Job& earlier) const {
  if (!earlier.reserved_on.empty()) {
    for (const std::size_t node : earlier.reserved_on) give_back(then, earlier, node, 1);
    return;
  }
  const Ask ask = ask_of(earlier, earlier.needed);
  then.use.remove(earlier.queue, room_of(earlier.size, earlier.needed));
  then.owed -= static_cast<std::int64_t>(ask.pieces * most_displaced(ask.piece, then.ask.piece));
}

/// Workers above minimums leave for an earlier one first. Of one that is picky, or for which it is, nobody
/// knows which of them.
bool GangPlanner::may_count_on_extras(const Job& job, std::span<const EarlierPromise> earlier) {
  return earlier.empty() || (!is_picky(job) && std::ranges::none_of(earlier, [](const EarlierPromise& one) {
           return is_picky(*one.job);
         }));
}

}  // namespace ds::scheduler
