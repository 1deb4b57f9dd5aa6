// Which jobs get workers above their minimum.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "scheduler/policy/planning.hpp"
#include "scheduler/policy/turns.hpp"

namespace ds::scheduler {
namespace {

/// After so many steps of several workers for which there is no room no more of a size are tried: what a plan
/// costs must not grow with the number of such jobs.
constexpr std::size_t kMaxTooLarge = 16;

}  // namespace

/// What grows into room that nobody knows when it is wanted is shrunk then where it may be.
void Planning::bind_growth(const Job& job) {
  bonds_.clear();
  for (const auto& kept : reservations_) {
    if (bind_claimed(kept, job)) continue;
    const bool is_gone = kept.is_after(end_of(job, now_ms_)) || planner_.could_shrink(job, *kept.job);
    const bool binds = kept.at_ms && tenants_.is_below(job.queue, kept.keeps_back);
    bonds_.push_back(is_gone ? Bond::none : binds ? Bond::binds : Bond::ignored);
  }
}

/// A job that has just been shrunk would get back what it gave, and what one that can't be shrunk takes now
/// could never be had back by a job that waits for slots; what one takes that rests then, not for long. Of
/// one whose moment is known it is known what is in its way. Among tenants it would be of what the job is
/// guaranteed for whom room is coming.
bool Planning::may_grow(const Job& job) const {
  const auto is_for = [&](const auto& most) { return most && *most >= job.demand.priority; };
  const bool blocks =
      (!job.demand.preemptible && is_for(kept_back_)) || (job.demand.will_rest && is_for(unknown_back_));
  if (planner_.is_fixed(job) && std::ranges::any_of(keepers_, &Keeper::is_soon)) return false;
  if (except_ != nullptr && except_->contains(job.demand.job)) return false;
  return job.workers >= job.needed && job.workers + job.kept < job.demand.workers.max && !job.demand.held &&
         !job.was_shrunk && !job.is_relocated && job.has_queue && job.growth.workers > 0 && !blocks &&
         !planner_.would_keep_guarantees(job, job.growth.workers);
}

Planning::Job* Planning::next_growing(std::map<GangPlanner::GrowthGroup, Growing>& growing) const {
  Job* best = nullptr;
  for (auto& [group, jobs] : growing) {
    if (jobs.is_closed) continue;
    while (jobs.next != jobs.end && !may_grow(*jobs.next->second)) ++jobs.next;
    while (!jobs.changed.empty() && !may_grow(*jobs.changed.top())) jobs.changed.pop();
    if (jobs.next != jobs.end && (best == nullptr || Later()(best, jobs.next->second)))
      best = jobs.next->second;
    if (!jobs.changed.empty() && (best == nullptr || Later()(best, jobs.changed.top())))
      best = jobs.changed.top();
  }
  return best;
}

/// Whether a try may lead to anything: where there is no room, now or later, and a queue has what it is
/// guaranteed, none does. Of those that would move workers nobody is left whose turn comes first.
bool Planning::may_any_grow(GrowthTurns& turns) const {
  if (!has_moved_ && keepers_.empty() && planner_.count_releasing() == 0) return true;
  for (std::size_t queue = 0; queue < turns.growing.size(); ++queue) {
    for (const auto& [group, jobs] : turns.growing[queue]) {
      if (jobs.is_closed || (jobs.next == jobs.end && jobs.changed.empty())) continue;
      const WorkerSize& size = group.first;
      if (planner_.has_guarantee_left(queue, size)) return true;
      const auto [known, is_new] = turns.has_room.try_emplace(size);
      if (is_new) known->second = planner_.has_room_for_one(size);
      if (known->second) return true;
    }
  }
  return false;
}

Planning::GrowthTurns Planning::find_growing() const {
  GrowthTurns turns;
  turns.growing.resize(tenants_.queues.size());
  for (std::size_t queue = 0; queue < turns.growing.size(); ++queue) {
    for (const auto& [group, jobs] : planner_.growable_of(queue))
      turns.growing[queue].emplace(group, Growing{jobs.begin(), jobs.end(), {}});
  }
  for (Job* job : planner_.touched()) {  // those that have just got their minimum
    if (job->started < job->needed) turns.growing[job->queue][growth_group(*job)].changed.push(job);
  }
  return turns;
}

void Planning::note_growths() {
  for (const Job* job : planner_.touched()) {
    const std::uint32_t from = std::max(job->started, job->needed);
    if (job->was_shrunk || job->workers <= from) continue;
    const double gain = log_speed(job->demand, job->workers) - log_speed(job->demand, from);
    size_changes_.push_back(
        {job->demand.job, from, job->workers, std::exp(gain), job->demand.curve != nullptr});
  }
}

/// Only the first in turn: what is released would be another's else. One that a quota keeps from growing is
/// passed over by those that this quota does not count.
bool Planning::move_to(Job& job) {
  const std::uint32_t count = job.growth.workers;
  if (has_moved_ || !keepers_.empty() || planner_.count_releasing() > 0) return false;
  const bool is_after =
      std::ranges::any_of(limits_, [&](std::size_t limit) { return tenants_.is_below(job.queue, limit); });
  if (is_after) return false;
  const auto limit = planner_.find_limit(job, count);
  if (limit) {
    limits_.push_back(*limit);
  } else {
    has_moved_ = true;
  }
  if (!job.demand.is_settled || job.started != job.workers + job.kept) return false;
  if (!planner_.move_room(job, count, size_changes_)) return false;
  has_moved_ = true;
  return true;
}

/// Of one that begins again with its new size: whether it has more than fits now once what is stopping is
/// gone. To take what is free now would keep it from growing by the rest for long.
bool Planning::has_more_coming(const Job& job) const {
  if (job.demand.grows_to == 0 || job.workers != job.started) return false;
  if (job.kept > 0) return true;
  const std::uint64_t fits = planner_.count_placeable(job);
  if (planner_.count_releasing() == 0 || job.workers + fits >= job.demand.workers.max) return false;
  const auto more = static_cast<std::uint32_t>(fits) + 1;
  return !planner_.lacks_slots(job, more) && !planner_.find_limit(job, more);
}

/// By its best step, or where that doesn't fit beside what is kept for others by the best of those that do.
/// One that is in the way of others does not keep what will be free: it is theirs.
bool Planning::grow_by(Job& job, std::uint32_t count, bool is_bound) {
  if (!is_bound && has_more_coming(job))
    return planner_.keep_room(job, count) || planner_.reclaim_room(job, count);
  if (planner_.place_beside(job, count, reservations_, bonds_, now_ms_)) return true;
  // Else what it takes would lie idle beside what is promised.
  const bool is_in_the_way = planner_.can_place(job, count) &&
                             std::ranges::any_of(reservations_, &GangPlanner::Reservation::is_claimed);
  if (!is_in_the_way && planner_.reclaim_room(job, count)) return true;
  // A program that starts again by it has all of it at once.
  const bool keeps = job.demand.is_settled || job.demand.grows_to > 0;
  if (!is_bound && keeps && planner_.keep_room(job, count)) return true;
  while (count > 1) {
    const auto fitting = std::min<std::uint64_t>(planner_.count_placeable(job), count - 1);
    count = next_growth(job.demand, job.workers + job.kept, static_cast<std::uint32_t>(fitting)).workers;
    if (count > 0 && planner_.place_beside(job, count, reservations_, bonds_, now_ms_)) return true;
  }
  return false;
}

/// The same on the node where it is, with what is free there.
bool Planning::grow_together(Job& job) {
  for (std::uint32_t count = job.growth.workers; count > 0;) {
    if (planner_.place_beside(job, count, reservations_, bonds_, now_ms_)) return true;
    const auto fitting = std::min<std::uint64_t>(planner_.count_placeable(job), count - 1);
    count = next_growth(job.demand, job.workers + job.kept, static_cast<std::uint32_t>(fitting)).workers;
  }
  return false;
}

Planning::Job* Planning::next_to_grow(GrowthTurns& turns) const {
  if (!may_any_grow(turns)) return nullptr;
  const auto next = [&](std::size_t queue) { return next_growing(turns.growing[queue]); };
  // Or another of its leaf, behind it: else who borrows would grow before that one, have it taken back, and
  // grow again, for ever.
  const auto is_within = [&](const Job& job, std::size_t queue) {
    const auto fits = [&](const Job& one) {
      return is_any_up_to(tenants_, one.queue, queue, [&](std::size_t at) {
        return planner_.use().fits_guarantee(at, room_of(one.size, 1));
      });
    };
    return fits(job) || std::ranges::any_of(turns.growing[job.queue], [&](const auto& group) {
             const Growing& jobs = group.second;
             return !jobs.is_closed && ((jobs.next != jobs.end && fits(*jobs.next->second)) ||
                                        (!jobs.changed.empty() && fits(*jobs.changed.top())));
           });
  };
  return choose_turn(tenants_, shares_, planner_.use(), next, is_within);
}

void Planning::try_to_grow(Job& job, GrowthTurns& turns) {
  Growing& jobs = turns.growing[job.queue].at(growth_group(job));
  if (!jobs.changed.empty() && jobs.changed.top() == &job) {
    jobs.changed.pop();
  } else {
    ++jobs.next;
  }
  const auto go_on = [&] {
    turns.note_step();
    jobs.changed.push(&job);
  };
  if (is_together(job)) {  // what its node lacks says nothing of others
    if (planner_.count_placeable(job) == 0) return;
    bind_growth(job);
    if (grow_together(job)) go_on();
    return;
  }
  bind_growth(job);
  const std::uint32_t count = job.growth.workers;
  const bool is_bound = std::ranges::find(bonds_, Bond::binds) != bonds_.end();
  // Where a gang lacks workers there may be many such: nothing has changed since the last of them.
  if (!is_bound && count == 1 && jobs.roomless != nullptr && jobs.roomless_at == turns.grown &&
      planner_.lack_the_same_room(*jobs.roomless, job))
    return;
  if (grow_by(job, count, is_bound)) return go_on();
  if (is_bound && ++jobs.refused < kMaxRefused) return;  // it alone is in the way
  if (move_to(job)) return turns.note_step();
  if (!is_bound && count == 1) {
    jobs.roomless = &job;
    jobs.roomless_at = turns.grown;
  }
  // What is no room for one is none for the next, which asks for no less; unless a gang that lacks workers
  // could be taken from by another of them.
  const bool is_last = count == 1 || ++jobs.too_large == kMaxTooLarge;
  jobs.is_closed = is_last && !planner_.has_partial_gangs();
}

std::vector<SizeChange> Planning::grow(const std::set<std::string>* except) {
  except_ = except;
  for (Job* job : planner_.slowed()) planner_.give_back(*job, size_changes_);
  if (planner_.has_placeable_slots()) make_reservations();  // before what is promised counts as used
  // Else those that grow could take the quota of one that waits, which would keep back others then, and now
  // not.
  std::set<const Job*> known;
  for (const auto& kept : reservations_) {
    if (kept.at_ms) known.insert(kept.job);
  }
  for (Job* job : waiting_for_slots_) {
    planner_.promise(*job);
    const auto most = std::numeric_limits<std::uint32_t>::max();
    const auto priority = job->demand.has_promise ? most : job->demand.priority;
    kept_back_ = std::max(kept_back_.value_or(0), priority);
    if (!known.contains(job)) unknown_back_ = std::max(unknown_back_.value_or(0), priority);
  }
  GrowthTurns turns = find_growing();
  while (Job* job = next_to_grow(turns)) try_to_grow(*job, turns);
  move_for_shares();
  note_partial_growth();
  note_growths();
  return std::move(size_changes_);
}

}  // namespace ds::scheduler
