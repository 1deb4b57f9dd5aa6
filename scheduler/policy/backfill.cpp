// What starts behind those that wait, and beside what they are promised.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "scheduler/policy/planning.hpp"
#include "scheduler/policy/turns.hpp"

namespace ds::scheduler {

/// Whether one waits to whom a moment was promised; room that is being made for it is nobody else's anyway.
bool Planning::is_behind_promise(const Job& job) const {
  return std::ranges::any_of(promises_, [&](std::size_t which) {
    const Keeper& keeper = keepers_[which];
    const bool is_of_no_use = keeper.for_gpus && job.size.gpus == 0;
    return tenants_.is_below(job.queue, keeper.keeps_back) && !is_of_no_use;
  });
}

/// What a started gang lacks it does not get where that is in the way of a promise.
bool Planning::place_beside_promises(Job& job, std::uint32_t count) {
  make_reservations();
  bonds_.clear();
  for (const auto& kept : reservations_) {
    const bool binds = kept.job->demand.has_promise && kept.is_before(job.queue, job.size, tenants_);
    if (bind_claimed(kept, job)) continue;
    bonds_.push_back(kept.is_after(end_of(job, now_ms_)) ? Bond::none : binds ? Bond::binds : Bond::ignored);
  }
  return planner_.place_beside(job, count, reservations_, bonds_, now_ms_);
}

/// A promise among tenants is in nobody's way but its own job's: of all others it is asked whether it has its
/// room with them there.
bool Planning::bind_claimed(const GangPlanner::Reservation& kept, const Job& job) {
  if (kept.is_claimed) bonds_.push_back(kept.job == &job ? Bond::ignored : Bond::binds);
  return kept.is_claimed;
}

/// Of the keepers that have none yet.
void Planning::make_reservations() {
  const std::size_t most =
      std::clamp(kMaxReservationSteps / std::max<std::size_t>(1, planner_.count_occupants()),
                 kMinReservations, kMaxReservations);
  for (std::size_t i = reservations_.size(); i < keepers_.size(); ++i) {
    const auto& [job, keeps_back, is_soon, for_gpus] = keepers_[i];
    const bool is_closed = is_soon || i >= most;
    reservations_.push_back(planner_.reserve_later(*job, keeps_back, is_closed, now_ms_));
    reservations_.back().for_gpus = for_gpus;
    const auto told = told_.find(job);
    if (told == told_.end() || !told->second.promised) continue;
    auto& at_ms = reservations_.back().at_ms;  // it does not start before the one in whose way it would be
    if (at_ms) at_ms = std::max(at_ms, told->second.promised->at_ms);
  }
}

/// Where nobody knows the moment. Not while room is kept that is coming for somebody: that one is no gang yet
/// that may end.
void Planning::open_reservations() {
  if (std::ranges::any_of(keepers_, &Keeper::is_soon)) return;
  for (auto& kept : reservations_) {
    if (std::ranges::find(waiting_for_slots_, kept.job) != waiting_for_slots_.end())
      planner_.open_behind_unknown(kept, reservations_);
  }
}

void Planning::bind_start(const Job& job) {
  bonds_.clear();
  for (const auto& kept : reservations_) {
    if (bind_claimed(kept, job)) continue;
    bonds_.push_back(kept.is_likely_after(end_of(job, now_ms_))      ? Bond::none
                     : kept.is_before(job.queue, job.size, tenants_) ? Bond::binds
                                                                     : Bond::ignored);
  }
}

/// The first of the queue's jobs that may be worth a try.
Planning::Job* Planning::next_candidate(std::size_t queue,
                                        std::map<GangPlanner::Shape, Candidates>& shapes) const {
  Job* best = nullptr;
  for (auto& [shape, candidates] : shapes) {
    if (candidates.is_closed) continue;
    candidates.is_closed = !planner_.fits_now(queue, shape);
    if (candidates.is_closed) continue;
    if (candidates.next == nullptr) candidates.next = candidates.last;
    while (candidates.next == candidates.last ||
           (candidates.next != nullptr && candidates.next->workers > 0)) {
      candidates.next = candidates.jobs->first_behind(candidates.next, candidates.most_ms);
      if (candidates.next == nullptr) break;
    }
    candidates.is_closed = candidates.next == nullptr;
    if (candidates.is_closed) continue;
    if (best == nullptr || GangPlanner::Before()(candidates.next, best)) best = candidates.next;
  }
  return best;
}

/// Whether a job that waits would not be within its guarantee beside it. Then others' turn could come first,
/// and who starts behind would put it off again and again.
bool Planning::would_use_guarantee(const Job& job) const {
  if (told_.contains(&job)) return false;  // it had its turn
  return std::ranges::any_of(reservations_, [&](const auto& kept) { return would_use_guarantee(job, kept); });
}

/// As things are when that one may start: as long as its queue's limit of GPUs keeps it from that nobody
/// takes its turn, and what must have ended by then is gone.
bool Planning::would_use_guarantee(const Job& job, const GangPlanner::Reservation& kept) const {
  const Job& first = *kept.job;
  if (kept.is_claimed || !kept.is_before(job.queue, job.size, tenants_)) return false;
  Room both = plus(room_of(first.size, first.needed), room_of(job.size, job.needed));
  if (first.size.gpus == 0) both.gpus = 0;  // then those that the other has are nothing to it
  return is_any_up_to(tenants_, first.queue, TenantTree::kRoot, [&](std::size_t queue) {
    return first.guaranteed_levels >= tenants_[queue].depth && tenants_.is_below(job.queue, queue) &&
           !planner_.minimums().fits_guarantee(queue, both, kept.gone);
  });
}

void Planning::try_candidate(Job& job, Candidates& candidates) {
  candidates.last = candidates.next;
  candidates.next = nullptr;
  candidates.is_closed = would_use_guarantee(job);
  if (candidates.is_closed) return;
  // What it borrowed could not be had back from it.
  if (tenants_.has_tenants() && job.demand.has_promise && !planner_.has_first_claim(job)) return;
  bind_start(job);
  if (planner_.place_beside(job, job.needed, reservations_, bonds_, now_ms_)) return;
  // One that lasts as long, or longer, is in the way of the same jobs.
  candidates.most_ms = 0;
  for (std::size_t i = 0; i < bonds_.size(); ++i) {
    const auto at_ms = reservations_[i].at_ms ? reservations_[i].at_ms : reservations_[i].likely_ms;
    if (bonds_[i] == Bond::binds && at_ms)
      candidates.most_ms = std::max(candidates.most_ms, *at_ms - now_ms_);
  }
}

/// Replicas that are wanted beyond those that a job has, and that wait behind others.
std::vector<std::deque<Planning::Job*>> Planning::waiting_replicas() const {
  std::vector<std::deque<Job*>> found(tenants_.queues.size());
  for (std::size_t queue = 0; queue < found.size(); ++queue) {
    if (!line_.is_behind(queue)) continue;
    for (Job* job : planner_.partial_of(queue)) {
      if (job->demand.is_extra && job->workers < job->needed && !told_.contains(job))
        found[queue].push_back(job);
    }
  }
  return found;
}

/// Beside what is promised, and likely, as those that start.
void Planning::backfill_replicas() {
  auto waiting = waiting_replicas();
  if (std::ranges::all_of(waiting, &std::deque<Job*>::empty)) return;
  make_reservations();
  const auto next = [&](std::size_t queue) {
    return waiting[queue].empty() ? nullptr : waiting[queue].front();
  };
  const auto is_within = [&](const Job& job, std::size_t queue) { return is_within_guarantee(job, queue); };
  while (Job* job = choose_turn(tenants_, shares_, planner_.minimums(), next, is_within)) {
    waiting[job->queue].pop_front();
    bind_start(*job);
    if (!would_use_guarantee(*job))
      planner_.place_beside(*job, job->needed - job->workers, reservations_, bonds_, now_ms_);
  }
}

void Planning::backfill() {
  backfill_replicas();
  std::vector<std::map<GangPlanner::Shape, Candidates>> shapes(tenants_.queues.size());
  bool is_any = false;
  for (std::size_t queue = 0; queue < shapes.size(); ++queue) {
    if (!line_.is_behind(queue)) continue;
    for (const auto& [shape, jobs] : planner_.unstarted_of(queue)) {
      if (!planner_.fits_now(queue, shape)) continue;
      shapes[queue].emplace(shape, Candidates{&jobs});
      is_any = true;
    }
  }
  if (!is_any) return;
  make_reservations();
  open_reservations();
  for (std::size_t queue = 0; queue < shapes.size(); ++queue) {
    std::erase_if(shapes[queue], [&](const auto& entry) {
      return std::ranges::any_of(reservations_, [&](const auto& kept) {
        return kept.is_closed && !kept.likely_ms && kept.is_before(queue, entry.first.size, tenants_);
      });
    });
  }
  const auto next = [&](std::size_t queue) { return next_candidate(queue, shapes[queue]); };
  const auto is_within = [&](const Job& job, std::size_t queue) { return is_within_guarantee(job, queue); };
  while (Job* job = choose_turn(tenants_, shares_, planner_.minimums(), next, is_within))
    try_candidate(*job, shapes[job->queue].at(shape_of(*job)));
}

}  // namespace ds::scheduler
