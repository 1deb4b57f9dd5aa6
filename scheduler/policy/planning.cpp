#include "scheduler/policy/planning.hpp"

#include <algorithm>
#include <utility>

#include "scheduler/policy/turns.hpp"

namespace ds::scheduler {

Planning::Planning(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past,
                   std::int64_t now_ms, bool is_asked, const InVain& in_vain)
    : planner_(planner),
      tenants_(tenants),
      shares_(tenants, planner.queue_index(), past, planner.total()),
      now_ms_(now_ms),
      is_asked_(is_asked),
      in_vain_(in_vain),
      line_(tenants) {}

void Planning::serve_minimums() {
  const std::size_t queues = tenants_.queues.size();
  for (std::size_t queue = 0; queue < queues; ++queue) cursors_.push_back({planner_.short_of(queue).begin()});
  serve_promises();
  const auto next = [&](std::size_t queue) { return next_short(queue); };
  const auto is_within = [&](const Job& job, std::size_t queue) {
    if (is_within_guarantee(job, queue) || is_partial_within_guarantee(job.queue, queue)) return true;
    const Job* beyond = first_beyond_claims(job);
    return beyond != nullptr && is_within_guarantee(*beyond, queue);
  };
  while (Job* job = choose_turn(tenants_, shares_, planner_.minimums(), next, is_within)) {
    pass_over(*job);
    // A started gang is not kept back by those ahead: they may be waiting for the very workers that it has.
    // Replicas more than must be are, or they would take one by one what a gang waits for.
    if (!may_be_behind(*job)) {
      serve_minimum(*job);
      continue;
    }
    bool& keeps_replicas = cursors_[job->queue].keeps_replicas;
    const bool is_kept_back = is_behind(*job) || (job->demand.is_extra && keeps_replicas);
    keeps_replicas = keeps_replicas || is_kept_back;
    if (!is_kept_back) serve_minimum(*job);
  }
}

/// Not a started gang; replicas more than must be come in their turn, as those that start.
bool Planning::may_be_behind(const Job& job) {
  return job.workers == 0 || job.demand.is_extra;
}

/// It has its turn now.
void Planning::pass_over(const Job& job) {
  Cursor& cursor = cursors_[job.queue];
  const auto end =
      cursor.is_behind ? planner_.partial_of(job.queue).end() : planner_.short_of(job.queue).end();
  const bool is_next = cursor.next != end && *cursor.next == &job;
  is_next ? void(++cursor.next) : void(cursor.gangs_offered.insert(&job));
}

/// Among tenants: those with a promise come first in the cluster, within what their queues are guaranteed.
void Planning::serve_promises() {
  if (!tenants_.has_tenants()) return;
  std::vector<Job*> promised;
  for (std::size_t queue = 0; queue < tenants_.queues.size(); ++queue) {
    for (Job* job : planner_.short_of(queue)) {
      if (!job->demand.has_promise) break;
      promised.push_back(job);
    }
  }
  std::ranges::sort(promised, GangPlanner::Before());
  for (Job* job : promised) {
    if (planner_.has_first_claim(*job)) {
      serve_minimum(*job);
    } else if (is_claimed(*job)) {
      keep_claim(*job, facts_of(*job));
    }
  }
}

/// Whether the job's minimum is within what this queue on its way is guaranteed, or one below it there: what
/// that one is guaranteed others of this queue may have borrowed, and from them it has it back. If later jobs
/// of its own queue have got it, it is no reason to keep others from theirs.
bool Planning::is_within_guarantee(const Job& job, std::size_t queue) const {
  return is_any_up_to(tenants_, job.queue, queue, [&](std::size_t at) {
    return job.guaranteed_levels >= tenants_[at].depth &&
           planner_.minimums().fits_guarantee(at, room_of(job.size, job.needed));
  });
}

/// Whether a started gang of the leaf that is yet to be served is. That is served though those before it in
/// the leaf wait, so its turn is the leaf's: else who is preempted for it could come first again, for ever.
bool Planning::is_partial_within_guarantee(std::size_t leaf, std::size_t queue) const {
  return std::ranges::any_of(planner_.partial_of(leaf), [&](const Job* job) {
    return is_yet_to_be_served(*job) && is_within_guarantee(*job, queue);
  });
}

/// Of a started gang that lacks workers.
bool Planning::is_yet_to_be_served(const Job& job) const {
  return job.guaranteed_levels > 0 && !job.demand.is_extra && job.workers < job.needed &&
         !told_.contains(&job) && !cursors_[job.queue].gangs_offered.contains(&job);
}

/// The one for whose sake it would be the leaf's turn, where the first in its line is of lower rank: else
/// that one would be served in a turn that is not its own, be preempted for whose turn it was, and come first
/// again.
Planning::Job* Planning::next_gang_before(const Job& first) const {
  for (Job* gang : planner_.partial_of(first.queue)) {
    if (gang == &first || !is_yet_to_be_served(*gang)) continue;
    for (std::size_t at = first.queue; at != TenantTree::kRoot; at = tenants_[at].parent) {
      if (first.guaranteed_levels < tenants_[at].depth && is_within_guarantee(*gang, at)) return gang;
    }
  }
  return nullptr;
}

/// Behind one that only claims what it lacks, which is no use to those who are preemptible, the first of
/// these in the line: its turn is the leaf's. Null: there is none, or `first` is no such job.
const Planning::Job* Planning::first_beyond_claims(const Job& first) {
  if (first.workers > 0 || !planner_.would_keep_guarantees(first, first.needed)) return nullptr;
  const GangPlanner::Jobs& line = planner_.short_of(first.queue);
  auto& [beyond, is_found] = cursors_[first.queue].beyond;
  if (!is_found || (beyond != line.end() && GangPlanner::Before()(*beyond, &first)))
    beyond = line.upper_bound(const_cast<Job*>(&first));
  is_found = true;
  const auto has_had_its_turn = [&](const Job* job) {
    return job->workers >= job->needed || told_.contains(job);
  };
  while (beyond != line.end() && (planner_.is_fixed(**beyond) || has_had_its_turn(*beyond))) ++beyond;
  return beyond == line.end() ? nullptr : *beyond;
}

/// Nobody is kept from what it is guaranteed by one that waits for more than that, or for a quota below where
/// their queues meet: that one has nothing of what it is kept from.
bool Planning::is_behind(const Job& job) const {
  if (job.demand.has_promise && !tenants_.has_tenants()) return false;  // only those are before it, in part
  return line_.is_behind(job.queue, [&](std::size_t queue) { return is_within_guarantee(job, queue); });
}

/// Of a queue that is kept back only started gangs are served: they may be what others wait for.
Planning::Job* Planning::next_short(std::size_t queue) {
  Cursor& cursor = cursors_[queue];
  if (!cursor.is_behind && cursor.is_behind_fixed) {
    while (cursor.next != planner_.short_of(queue).end() && (*cursor.next)->workers == 0 &&
           planner_.is_fixed(**cursor.next))
      ++cursor.next;
  }
  const GangPlanner::Jobs& all = planner_.short_of(queue);
  const GangPlanner::Jobs& started = planner_.partial_of(queue);
  if (!cursor.is_behind && line_.is_behind(queue) && (cursor.next == all.end() || is_behind(**cursor.next))) {
    cursor.is_behind = true;
    cursor.keeps_replicas |= cursor.next != all.end() && may_be_behind(**cursor.next);
    cursor.next = cursor.next == all.end() ? started.end() : started.lower_bound(*cursor.next);
  }
  if (cursor.next == (cursor.is_behind ? started.end() : all.end())) return nullptr;
  Job* gang = cursor.is_behind ? nullptr : next_gang_before(**cursor.next);
  return gang == nullptr ? *cursor.next : gang;
}

/// Gives the job its minimum, or keeps what it was compared with.
void Planning::serve_minimum(Job& job) {
  if (job.workers >= job.needed || told_.contains(&job)) return;  // it had its turn first
  if (may_break_claim(job)) return;
  const std::uint32_t missing = job.needed - job.workers;
  if (planner_.would_keep_guarantees(job, missing)) {
    // Whoever is preemptible may have the slots meanwhile; what it waits for is not enough for the others of
    // its queue either.
    told_.emplace(&job, facts_of(job));
    if (job.demand.is_extra) return;
    planner_.claim_fixed(job, missing);
    cursors_[job.queue].is_behind_fixed = true;
    return;
  }
  const bool is_bound = is_behind_promise(job);
  if (is_bound ? place_beside_promises(job, missing) : planner_.place(job, missing)) return;
  WaitFacts facts = facts_of(job);  // as they are before room is made, which is not free yet
  facts.too_young = planner_.count_too_young(job);
  auto limits = planner_.find_limits(job, missing);
  const bool for_quota_alone = !limits.empty() && !planner_.lacks_slots(job, missing);
  WaitingLine::Claim claim;
  const bool has_claims = std::ranges::any_of(reservations_, &GangPlanner::Reservation::is_claimed);
  bool is_in_the_way = is_bound && has_claims && limits.empty() && planner_.can_place(job, missing);
  if (!is_bound || has_claims) {
    const auto leaves_claims = [&] {
      is_in_the_way = !planner_.leaves_claimed_room(reservations_, now_ms_);
      return !is_in_the_way;
    };
    const bool preempts_nobody = in_vain_.nobody_for.contains(job.demand.job);
    const auto* tried = in_vain_.find(job);
    RoomConditions conditions{.may_preempt = in_vain_.may_preempt(job)};
    if (tried != nullptr) conditions.spared = &tried->spared;
    if (is_bound) conditions.may_stay = leaves_claims;
    const std::size_t changed = planner_.touched().size();
    const auto made = planner_.make_room(job, missing, now_ms_, conditions);
    if (preempts_nobody && !made.is_coming)
      changed_before_vain_turns_ = std::min(changed_before_vain_turns_, changed);
    if ((tried != nullptr || preempts_nobody) && !made.is_coming) {
      if (tried != nullptr) facts.instead = tried->why;
      return wait_in_vain(job, missing, std::move(facts));
    }
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
  if (is_in_the_way) facts.promised = describe_claim(job);
  // Whoever waits for slots keeps all back, whoever waits for a quota those who would use it; the highest up
  // where there are several, so that it does not keep back more when somebody has shrunk.
  std::size_t keeps_back = TenantTree::kRoot;
  if (!limits.empty() && (!facts.room_is_coming || for_quota_alone)) {
    const auto depth = [&](const QueueUse::Limit& limit) { return tenants_[limit.queue].depth; };
    keeps_back = std::ranges::min_element(limits, {}, depth)->queue;
  }
  if (is_claimed(job) && !facts.room_is_coming) return keep_claim(job, std::move(facts));
  line_.add(job, keeps_back, claim);
  keepers_.push_back({&job, keeps_back, facts.room_is_coming,
                      for_quota_alone && std::ranges::all_of(limits, &QueueUse::Limit::is_of_gpus)});
  if (job.demand.has_promise && !facts.room_is_coming) promises_.push_back(keepers_.size() - 1);
  if (!facts.room_is_coming && limits.empty()) waiting_for_slots_.push_back(&job);
  if (!facts.room_is_coming && !is_bound) planner_.claim_fixed(job, missing);
  told_.emplace(&job, std::move(facts));
}

/// Of one that would not start though those were gone that it could preempt, since it would be others' turn
/// then: it keeps back nobody of other queues, for it is not its turn before theirs. One that is not
/// preemptible keeps back those like it alone, as where it waits for what others are guaranteed.
void Planning::wait_in_vain(Job& job, std::uint32_t count, WaitFacts facts) {
  facts.too_young = 0;  // it does not wait for that
  told_.emplace(&job, std::move(facts));
  if (job.demand.is_extra) return;
  if (planner_.is_fixed(job)) {
    planner_.claim_fixed(job, count);
    cursors_[job.queue].is_behind_fixed = true;
    return;
  }
  line_.add(job, job.queue, {});
  keepers_.push_back({&job, job.queue, false, false});
  waiting_for_slots_.push_back(&job);
}

/// Whether it has a promise among tenants, whose moment is certain.
bool Planning::is_claimed(const Job& job) const {
  return tenants_.has_tenants() && job.demand.has_promise && planner_.find_claimed_room(job, now_ms_);
}

/// It keeps its own queue back. Of others it is asked whether they leave it its room.
void Planning::keep_claim(const Job& job, WaitFacts facts) {
  line_.add(job, job.queue, {});
  promises_.push_back(keepers_.size());
  keepers_.push_back({&job, TenantTree::kRoot, false, false});
  told_.emplace(&job, std::move(facts));
}

/// Whether a gang of the queue that lacks workers would take up the guarantee by which one with a promise
/// comes first, while that one only waits for workers to stop.
bool Planning::may_break_claim(const Job& job) const {
  if (job.workers == 0 || !tenants_.has_tenants()) return false;
  return std::ranges::any_of(keepers_, [&](const Keeper& keeper) {
    const Job& first = *keeper.job;
    return keeper.is_soon && first.demand.has_promise && first.queue == job.queue && !gives_way(job, first);
  });
}

/// By what it could not have though all were gone that may be taken for it.
WaitingLine::Claim Planning::claim_of(const MadeRoom& made) const {
  WaitingLine::Claim claim{.guarantee = tenants_[made.guarantee].depth};
  for (const auto& limit : made.limits) claim.limit = std::max(claim.limit, tenants_[limit.queue].depth);
  return claim;
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
  const bool has_tenants = tenants_.has_tenants();
  if (is_awaited_by_more_urgent(job)) return std::nullopt;
  if (job.workers >= job.needed) {
    const bool is_borrowed = has_tenants && job.guaranteed_levels < tenants_[job.queue].depth;
    return is_borrowed ? std::nullopt : std::optional(now_ms_);
  }
  make_reservations();
  const auto before = planner_.waiting_promises_before(job);
  // What would be made room for this one the earlier could take: its turn comes first.
  if (has_tenants && !before.empty()) return std::nullopt;
  for (const Job* earlier : before) {
    const auto at_ms = certain_start(*earlier, leaving_ms);
    if (!at_ms || *at_ms > earlier->demand.starts_by_ms) return std::nullopt;
  }
  return certain_start(job, leaving_ms);
}

/// Of one with a promise that waits.
std::optional<std::int64_t> Planning::certain_start(const Job& job, std::int64_t leaving_ms) const {
  const auto found = std::ranges::find(keepers_, &job, &Keeper::job);
  if (found == keepers_.end()) return std::nullopt;
  if (found->is_soon) {
    // Else the turn may come to another queue before.
    const bool is_first = !tenants_.has_tenants() || planner_.has_first_claim(job);
    return is_first ? std::optional(now_ms_ + leaving_ms) : std::nullopt;
  }
  const auto& kept = reservations_[static_cast<std::size_t>(found - keepers_.begin())];
  if (!kept.at_ms || (tenants_.has_tenants() && !kept.is_claimed)) return std::nullopt;
  // Among tenants others may have to leave once those have that end by then.
  return *kept.at_ms + (tenants_.has_tenants() ? 2 : 1) * leaving_ms;
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

}  // namespace ds::scheduler
