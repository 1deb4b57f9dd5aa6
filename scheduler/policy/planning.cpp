#include "scheduler/policy/planning.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "scheduler/policy/choose_turn.hpp"

namespace ds::scheduler {
namespace {

using Job = GangPlanner::Job;

/// After so many steps of several workers for which there is no room no more of a size are tried: what a plan
/// costs must not grow with the number of such jobs.
constexpr std::size_t kMaxTooLarge = 16;

/// Whether something holds for any queue on the way from a leaf up to this one.
template <class Holds>
bool is_any_up_to(const TenantTree& tenants, std::size_t leaf, std::size_t queue, Holds holds) {
  for (std::size_t at = leaf; at != TenantTree::kRoot; at = tenants[at].parent) {
    if (holds(at)) return true;
    if (at == queue) break;
  }
  return false;
}

/// Where nobody knows when a queue has a GPU to spare, only those that want GPUs too are in the way of the
/// one that waits for it.
bool keeps_back(const GangPlanner::Reservation& kept, std::size_t queue, const WorkerSize& size,
                const TenantTree& tenants) {
  const bool is_of_no_use = kept.for_gpus && kept.is_unknown && size.gpus == 0;
  return tenants.is_below(queue, kept.keeps_back) && !is_of_no_use;
}

bool is_over_by(const GangPlanner::Reservation& kept, std::int64_t ends_ms) {
  return ends_ms > 0 && kept.at_ms && ends_ms <= *kept.at_ms;
}

/// Or is likely to be.
bool is_likely_over_by(const GangPlanner::Reservation& kept, std::int64_t ends_ms) {
  return is_over_by(kept, ends_ms) || (ends_ms > 0 && kept.likely_ms && ends_ms <= *kept.likely_ms);
}

/// 0: nobody knows.
std::int64_t end_of(const Job& job, std::int64_t now_ms) {
  if (job.started > 0) return job.demand.ends_ms;
  return job.demand.lasts_ms > 0 ? now_ms + job.demand.lasts_ms : 0;
}

}  // namespace

Planning::Planning(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past,
                   std::int64_t now_ms, bool is_asked)
    : planner_(planner),
      tenants_(tenants),
      shares_(tenants, past, planner.total()),
      now_ms_(now_ms),
      is_asked_(is_asked),
      line_(tenants) {}

WaitFacts Planning::facts_of(const Job& job) const {
  WaitFacts facts = planner_.facts_of(job);
  if (is_asked_ && job.is_pending) facts.occupants = planner_.find_in_the_way(job);
  return facts;
}

void Planning::serve_minimums() {
  const std::size_t queues = tenants_.queues.size();
  for (std::size_t queue = 0; queue < queues; ++queue) cursors_.push_back({planner_.short_of(queue).begin()});
  const auto next = [&](std::size_t queue) { return next_short(queue); };
  const auto is_within = [&](const Job& job, std::size_t queue) {
    return is_within_guarantee(job, queue) || is_partial_within_guarantee(job.queue, queue);
  };
  while (Job* job = choose_turn(tenants_, shares_, planner_.minimums(), next, is_within)) {
    ++cursors_[job->queue].next;
    serve_minimum(*job);
  }
}

/// Whether the job's minimum is within what this queue on its way is guaranteed, or one below it there: what
/// that one is guaranteed others of this queue may have borrowed, and from them it has it back. If later jobs
/// of its own queue have got it, it is no reason to keep others from theirs.
bool Planning::is_within_guarantee(const Job& job, std::size_t queue) const {
  return is_any_up_to(tenants_, job.queue, queue, [&](std::size_t at) {
    return job.guaranteed_levels >= tenants_[at].depth &&
           planner_.minimums().fits_guarantee(at, job.needed * job.size.slots);
  });
}

/// Whether a started gang of the leaf that is yet to be served is. That is served though those before it in
/// the leaf wait, so its turn is the leaf's: else who is preempted for it could come first again, for ever.
bool Planning::is_partial_within_guarantee(std::size_t leaf, std::size_t queue) const {
  for (const Job* job : planner_.partial_of(leaf)) {
    if (job->guaranteed_levels == 0) return false;  // and so it is with the next
    if (job->workers < job->needed && !told_.contains(job) && is_within_guarantee(*job, queue)) return true;
  }
  return false;
}

/// Nobody is kept from what it is guaranteed by one that waits for more than that, or for a quota below where
/// their queues meet: that one has nothing of what it is kept from.
bool Planning::is_behind(const Job& job) const {
  return line_.is_behind(job.queue, [&](std::size_t queue) { return is_within_guarantee(job, queue); });
}

/// Of a queue that is kept back only started gangs are served: they may be what others wait for.
Planning::Job* Planning::next_short(std::size_t queue) {
  Cursor& cursor = cursors_[queue];
  const GangPlanner::Jobs& all = planner_.short_of(queue);
  const GangPlanner::Jobs& started = planner_.partial_of(queue);
  if (!cursor.is_behind && line_.is_behind(queue) && (cursor.next == all.end() || is_behind(**cursor.next))) {
    cursor.is_behind = true;
    cursor.next = cursor.next == all.end() ? started.end() : started.lower_bound(*cursor.next);
  }
  return cursor.next == (cursor.is_behind ? started.end() : all.end()) ? nullptr : *cursor.next;
}

/// Gives the job its minimum, or keeps what it was compared with.
void Planning::serve_minimum(Job& job) {
  // A started job is not kept back by those ahead: they may be waiting for the very workers that it has.
  if (job.workers == 0 && is_behind(job)) return;
  const std::uint32_t missing = job.needed - job.workers;
  // Whoever is preemptible may have the slots meanwhile.
  if (planner_.keeps_others_guarantees(job, missing)) return void(told_.emplace(&job, facts_of(job)));
  const bool is_bound = is_behind_promise(job);
  if (is_bound ? place_beside_promises(job, missing) : planner_.place(job, missing)) return;
  WaitFacts facts = facts_of(job);  // as they are before room is made, which is not free yet
  facts.too_young = planner_.count_too_young(job);
  auto limits = planner_.find_limits(job, missing);
  const bool for_quota_alone = !limits.empty() && !planner_.lacks_slots(job, missing);
  WaitingLine::Claim claim;
  if (!is_bound) {
    const auto made = planner_.make_room(job, missing, now_ms_);
    facts.room_is_coming = made.is_coming;
    if (!made.is_coming && !job.demand.has_promise) claim = claim_of(made);
    // Else what it could have taken itself would say whom it keeps back: who is shrunk for one of these would
    // grow again as soon as they are kept back, for ever.
    if (!made.is_coming && !limits.empty()) {
      limits = made.limits;
      facts.quota = limits.empty() ? std::nullopt : std::optional(planner_.quota_of(job, limits.front()));
    }
  }
  facts.releasing = planner_.count_releasing();
  facts.relocations = planner_.relocations_for(job);
  // Whoever waits for slots keeps all back, whoever waits for a quota those who would use it; the highest up
  // where there are several, so that it does not keep back more when somebody has shrunk.
  std::size_t keeps_back = TenantTree::kRoot;
  if (!limits.empty() && (!facts.room_is_coming || for_quota_alone)) {
    const auto depth = [&](const QueueUse::Limit& limit) { return tenants_[limit.queue].depth; };
    keeps_back = std::ranges::min_element(limits, {}, depth)->queue;
  }
  line_.add(job, keeps_back, claim);
  keepers_.push_back({&job, keeps_back, facts.room_is_coming,
                      for_quota_alone && std::ranges::all_of(limits, &QueueUse::Limit::is_of_gpus)});
  if (job.demand.has_promise && !facts.room_is_coming) promises_.push_back(keepers_.size() - 1);
  if (!facts.room_is_coming && limits.empty()) waiting_for_slots_.push_back(&job);
  told_.emplace(&job, std::move(facts));
}

/// By what it could not have though all were gone that may be taken for it.
WaitingLine::Claim Planning::claim_of(const GangPlanner::MadeRoom& made) const {
  WaitingLine::Claim claim{.guarantee = tenants_[made.guarantee].depth};
  for (const auto& limit : made.limits) claim.limit = std::max(claim.limit, tenants_[limit.queue].depth);
  return claim;
}

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
    const bool binds = kept.job->demand.has_promise && keeps_back(kept, job.queue, job.size, tenants_);
    bonds_.push_back(is_over_by(kept, end_of(job, now_ms_)) ? Bond::none
                     : binds                                ? Bond::binds
                                                            : Bond::ignored);
  }
  return planner_.place_beside(job, count, reservations_, bonds_);
}

/// Of the keepers that have none yet.
void Planning::make_reservations() {
  const bool are_too_many = keepers_.size() > kMaxReservations;  // then nothing starts behind them
  for (std::size_t i = reservations_.size(); i < keepers_.size(); ++i) {
    const auto& [job, keeps_back, is_soon, for_gpus] = keepers_[i];
    reservations_.push_back(planner_.reserve_later(*job, keeps_back, is_soon || are_too_many, now_ms_));
    reservations_.back().for_gpus = for_gpus;
  }
}

void Planning::bind_start(const Job& job) {
  bonds_.clear();
  for (const auto& kept : reservations_) {
    bonds_.push_back(is_likely_over_by(kept, end_of(job, now_ms_))     ? Bond::none
                     : keeps_back(kept, job.queue, job.size, tenants_) ? Bond::binds
                                                                       : Bond::ignored);
  }
}

/// What grows into room that nobody knows when it is wanted is shrunk then where it may be.
void Planning::bind_growth(const Job& job) {
  bonds_.clear();
  for (const auto& kept : reservations_) {
    const bool is_gone = is_over_by(kept, end_of(job, now_ms_)) || planner_.could_shrink(job, *kept.job);
    const bool binds = kept.at_ms && tenants_.is_below(job.queue, kept.keeps_back);
    bonds_.push_back(is_gone ? Bond::none : binds ? Bond::binds : Bond::ignored);
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
  return std::ranges::any_of(reservations_, [&](const auto& kept) {
    const Job& first = *kept.job;
    if (!keeps_back(kept, job.queue, job.size, tenants_)) return false;
    const SlotCount both = first.needed * first.size.slots + job.needed * job.size.slots;
    return is_any_up_to(tenants_, first.queue, TenantTree::kRoot, [&](std::size_t queue) {
      return first.guaranteed_levels >= tenants_[queue].depth && tenants_.is_below(job.queue, queue) &&
             !planner_.minimums().fits_guarantee(queue, both);
    });
  });
}

void Planning::try_candidate(Job& job, Candidates& candidates) {
  candidates.last = candidates.next;
  candidates.next = nullptr;
  if (planner_.keeps_others_guarantees(job, job.needed)) return;
  candidates.is_closed = would_use_guarantee(job);
  if (candidates.is_closed) return;
  bind_start(job);
  if (planner_.place_beside(job, job.needed, reservations_, bonds_)) return;
  // One that lasts as long, or longer, is in the way of the same jobs.
  candidates.most_ms = 0;
  for (std::size_t i = 0; i < bonds_.size(); ++i) {
    const auto at_ms = reservations_[i].at_ms ? reservations_[i].at_ms : reservations_[i].likely_ms;
    if (bonds_[i] == Bond::binds && at_ms)
      candidates.most_ms = std::max(candidates.most_ms, *at_ms - now_ms_);
  }
}

void Planning::backfill() {
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
  for (std::size_t queue = 0; queue < shapes.size(); ++queue) {
    std::erase_if(shapes[queue], [&](const auto& entry) {
      return std::ranges::any_of(reservations_, [&](const auto& kept) {
        return kept.is_closed && !kept.likely_ms && keeps_back(kept, queue, entry.first.size, tenants_);
      });
    });
  }
  const auto next = [&](std::size_t queue) { return next_candidate(queue, shapes[queue]); };
  const auto is_within = [&](const Job& job, std::size_t queue) { return is_within_guarantee(job, queue); };
  while (Job* job = choose_turn(tenants_, shares_, planner_.minimums(), next, is_within))
    try_candidate(*job, shapes[job->queue].at(GangPlanner::shape_of(*job)));
}

/// Of its queue: else it would come first, and so would the next with a deadline, for ever.
bool Planning::is_awaited_by_more_urgent(const Job& job) const {
  for (const Job* one : planner_.short_of(job.queue)) {
    if (one->demand.has_promise) continue;
    if (one->demand.priority <= job.demand.priority) return false;
    if (one->workers < one->needed && !one->demand.works_with_fewer) return true;
  }
  return false;
}

std::optional<std::int64_t> Planning::promised_start(const Job& job, std::int64_t leaving_ms) {
  // What is borrowed, its owner may take back.
  const bool is_borrowed = tenants_.has_tenants() && job.guaranteed_levels < tenants_[job.queue].depth;
  if (is_borrowed || is_awaited_by_more_urgent(job)) return std::nullopt;
  if (job.workers >= job.needed) return now_ms_;
  // Among tenants the turn may come to another queue.
  if (tenants_.has_tenants() || keepers_.empty() || keepers_.front().job != &job) return std::nullopt;
  if (keepers_.front().is_soon) return now_ms_ + leaving_ms;
  make_reservations();
  const auto at_ms = reservations_.front().at_ms;
  return at_ms ? std::optional(*at_ms + leaving_ms) : std::nullopt;
}

std::vector<const Planning::Job*> Planning::waiting() const {
  std::vector<const Job*> found;
  const auto look_at = [&](const Job* job) {
    if (job->workers < job->needed) found.push_back(job);
  };
  for (std::size_t queue = 0; queue < tenants_.queues.size(); ++queue)
    for (const Job* job : planner_.short_of(queue)) look_at(job);
  for (const Job* job : planner_.impossible()) look_at(job);
  for (const Job* job : planner_.touched()) {
    if (job->started >= job->needed) look_at(job);  // it is preempted in this plan
  }
  return found;
}

bool Planning::has_started_any() const {
  return std::ranges::any_of(planner_.touched(), [](const Job* job) {
    return job->started < job->needed && job->workers >= job->needed;
  });
}

std::vector<Wait> Planning::explain(std::span<const Job* const> jobs) {
  std::vector<std::vector<const Job*>> served(tenants_.queues.size());
  for (const Job* job : planner_.touched()) {
    if (job->started < job->needed && job->workers >= job->needed) served[job->queue].push_back(job);
  }
  for (auto& in_queue : served) std::ranges::sort(in_queue, GangPlanner::Before());
  std::vector<Wait> waits;
  for (const Job* job : jobs) {
    if (job->workers >= job->needed) continue;
    const auto told = told_.find(job);
    WaitFacts facts = told != told_.end() ? told->second : facts_of(*job);
    if (job->is_pending && (told == told_.end() || job->workers > 0))
      describe_queue(*job, served[job->queue], facts);
    if (job->is_pending && told == told_.end()) describe_line(*job, facts);
    waits.push_back({job->demand.job, explain_wait(facts), facts.room_is_coming});
  }
  return waits;
}

/// `served`: jobs of its queue that have had their minimum since the plan began.
void Planning::describe_queue(const Job& job, std::span<const Job* const> served, WaitFacts& facts) const {
  const GangPlanner::Jobs& line = planner_.short_of(job.queue);
  const auto count_before = [&](Job& one) {
    const auto gone = std::ranges::lower_bound(served, &one, GangPlanner::Before()) - served.begin();
    return line.order_of_key(&one) - static_cast<std::size_t>(gone);
  };
  Job place;  // its own in the line, then that of the first of its priority
  place.demand.has_promise = job.demand.has_promise;
  place.demand.priority = job.demand.priority;
  place.demand.order = job.demand.order;
  place.demand.job = job.demand.job;
  facts.ahead = count_before(place);
  place.demand.order = 0;
  place.demand.job.clear();
  facts.ahead_by_priority = count_before(place);
  place.demand.priority = std::numeric_limits<std::uint32_t>::max();
  facts.ahead_by_promise = job.demand.has_promise ? 0 : count_before(place);
  for (auto one = line.begin(); facts.ahead_names.size() < std::min(facts.ahead, kMaxBlockingJobs); ++one) {
    if ((*one)->workers < (*one)->needed) facts.ahead_names.push_back((*one)->demand.job);
  }
}

/// Of those that keep it back though it fits now, the first.
std::optional<KeptFor> Planning::describe_reservation(const Job& job) const {
  if (job.workers > 0 || !planner_.fits_now(job.queue, GangPlanner::shape_of(job))) return std::nullopt;
  for (const auto& kept : reservations_) {
    if (!keeps_back(kept, job.queue, job.size, tenants_)) continue;
    if ((kept.is_closed && !kept.is_unknown) || is_likely_over_by(kept, end_of(job, now_ms_))) continue;
    return KeptFor{kept.job->demand.job, kept.at_ms, now_ms_, job.demand.lasts_ms, kept.likely_ms};
  }
  return std::nullopt;
}

void Planning::describe_line(const Job& job, WaitFacts& facts) const {
  facts.kept_for = describe_reservation(job);
  for (const Job* first : line_.blockers(job.queue)) {
    if (first == &job) continue;
    WaitFacts its = told_.at(first);
    if (facts.kept_for) its.occupants = its.everybody;  // any may change from when on its room is wanted
    facts.first.push_back({first->demand.job, explain_wait(its)});
  }
  facts.turn = line_.describe_turn(job);
  if (!facts.turn) return;
  facts.turn->claimants = planner_.claimants_before(job);
  const auto meeting = tenants_.meet(line_.first_before(job.queue)->queue, job.queue);
  facts.turn->first_share = shares_.of(planner_.minimums(), meeting.a_side);
  facts.turn->own_share = shares_.of(planner_.minimums(), meeting.b_side);
}

/// A job that has just been shrunk would get back what it gave, and what one that can't be shrunk takes now
/// could never be had back by a job that waits for slots; what one takes that rests then, not for long. Of
/// one whose moment is known it is known what is in its way.
bool Planning::may_grow(const Job& job) const {
  const auto is_for = [&](const auto& most) { return most && *most >= job.demand.priority; };
  const bool blocks =
      (!job.demand.preemptible && is_for(kept_back_)) || (job.demand.will_rest && is_for(unknown_back_));
  return job.workers >= job.needed && job.workers + job.kept < job.demand.workers.max && !job.demand.held &&
         !job.was_shrunk && !job.is_relocated && job.has_queue && job.growth.workers > 0 && !blocks &&
         !planner_.keeps_others_guarantees(job, job.growth.workers);
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
  if (has_moved_ || !told_.empty() || planner_.count_releasing() > 0) return false;
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

/// By its best step, or where that doesn't fit beside what is kept for others by the best of those that do.
/// One that is in the way of others does not keep what will be free: it is theirs.
bool Planning::grow_by(Job& job, std::uint32_t count, bool is_bound) {
  if (planner_.place_beside(job, count, reservations_, bonds_)) return true;
  if (planner_.reclaim_room(job, count)) return true;
  // A program that starts again by it has all of it at once.
  const bool keeps = job.demand.is_settled || job.demand.grows_to > 0;
  if (!is_bound && keeps && planner_.keep_room(job, count)) return true;
  while (count > 1) {
    const auto fitting = std::min<std::uint64_t>(planner_.count_placeable(job), count - 1);
    count = next_growth(job.demand, job.workers + job.kept, static_cast<std::uint32_t>(fitting)).workers;
    if (count > 0 && planner_.place_beside(job, count, reservations_, bonds_)) return true;
  }
  return false;
}

/// The same on the node where it is, with what is free there.
bool Planning::grow_together(Job& job) {
  for (std::uint32_t count = job.growth.workers; count > 0;) {
    if (planner_.place_beside(job, count, reservations_, bonds_)) return true;
    const auto fitting = std::min<std::uint64_t>(planner_.count_placeable(job), count - 1);
    count = next_growth(job.demand, job.workers + job.kept, static_cast<std::uint32_t>(fitting)).workers;
  }
  return false;
}

std::vector<SizeChange> Planning::grow() {
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
  const std::size_t queues = tenants_.queues.size();
  std::vector<std::map<GangPlanner::GrowthGroup, Growing>> growing(queues);
  for (std::size_t queue = 0; queue < queues; ++queue) {
    for (const auto& [group, jobs] : planner_.growable_of(queue))
      growing[queue].emplace(group, Growing{jobs.begin(), jobs.end(), {}, false});
  }
  for (Job* job : planner_.touched()) {  // those that have just got their minimum
    if (job->started < job->needed) growing[job->queue][GangPlanner::growth_group(*job)].changed.push(job);
  }
  const auto next = [&](std::size_t queue) { return next_growing(growing[queue]); };
  // Or another of its leaf, behind it: else who borrows would grow before that one, have it taken back, and
  // grow again, for ever.
  const auto is_within = [&](const Job& job, std::size_t queue) {
    const auto fits = [&](const Job& one) {
      return is_any_up_to(tenants_, one.queue, queue,
                          [&](std::size_t at) { return planner_.use().fits_guarantee(at, one.size.slots); });
    };
    return fits(job) || std::ranges::any_of(growing[job.queue], [&](const auto& group) {
             const Growing& jobs = group.second;
             return !jobs.is_closed && ((jobs.next != jobs.end && fits(*jobs.next->second)) ||
                                        (!jobs.changed.empty() && fits(*jobs.changed.top())));
           });
  };
  while (Job* job = choose_turn(tenants_, shares_, planner_.use(), next, is_within)) {
    Growing& jobs = growing[job->queue].at(GangPlanner::growth_group(*job));
    if (!jobs.changed.empty() && jobs.changed.top() == job) {
      jobs.changed.pop();
    } else {
      ++jobs.next;
    }
    if (GangPlanner::is_together(*job)) {  // what its node lacks says nothing of others
      if (planner_.count_placeable(*job) == 0) continue;
      bind_growth(*job);
      if (grow_together(*job)) jobs.changed.push(job);
      continue;
    }
    bind_growth(*job);
    const std::uint32_t count = job->growth.workers;
    const bool is_bound = std::ranges::find(bonds_, Bond::binds) != bonds_.end();
    if (grow_by(*job, count, is_bound)) {
      jobs.changed.push(job);
      continue;
    }
    if (is_bound && ++jobs.refused < kMaxRefused) continue;  // it alone is in the way
    if (!move_to(*job)) {
      // What is no room for one is none for the next, which asks for no less; unless a gang that lacks
      // workers could be taken from by another of them.
      const bool is_last = count == 1 || ++jobs.too_large == kMaxTooLarge;
      jobs.is_closed = is_last && !planner_.has_partial_gangs();
    }
  }
  move_for_shares();
  note_partial_growth();
  note_growths();
  return std::move(size_changes_);
}

}  // namespace ds::scheduler
