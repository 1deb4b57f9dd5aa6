// Why jobs wait after a plan.
#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/policy/planning.hpp"
#include "scheduler/policy/quota_reasons.hpp"

namespace ds::scheduler {
namespace {

/// Of one whose turn has come: others may come before it for what its queue is guaranteed, and so for what it
/// could take from others. Those that run are named anyway where it lacks room, or they use its quota.
void note_claimants(const GangPlanner& planner, const TenantTree& tenants, const GangPlanner::Job& job,
                    WaitFacts& facts) {
  auto before = planner.claimants_before(job);
  const bool is_room_short = facts.fitting_now < job.needed - job.workers;
  std::erase_if(before, [&](const std::string& id) {
    const auto& one = *planner.find(id);
    const bool is_named = !facts.quota || is_room_short ||
                          std::ranges::find(facts.quota->users, id) != facts.quota->users.end();
    return one.workers >= one.needed && is_named;
  });
  if (before.empty()) return;
  facts.turn.emplace();
  facts.turn->own_queue = tenants.full_name(job.queue);
  facts.turn->claimants = std::move(before);
}

/// Of one that no other queue's turn keeps back: started gangs of its own queue may, though they come after
/// it in the line. Theirs was the turn before, for what the queue is guaranteed.
void note_gangs_before(const GangPlanner& planner, const TenantTree& tenants, const GangPlanner::Job& job,
                       std::span<const GangPlanner::Job* const> keepers, WaitFacts& facts) {
  const auto is_gang_before = [&](const GangPlanner::Job* one) {
    return one->queue == job.queue && one->workers > 0 && GangPlanner::Before()(&job, one);
  };
  if (!tenants.has_tenants() || std::ranges::none_of(keepers, is_gang_before)) return;
  note_claimants(planner, tenants, job, facts);
  if (!facts.turn) facts.turn.emplace().own_queue = tenants.full_name(job.queue);
  auto& claimants = facts.turn->claimants;
  for (const auto* one : keepers) {
    const std::string& id = one->demand.job;
    if (is_gang_before(one) && std::ranges::find(claimants, id) == claimants.end()) claimants.push_back(id);
  }
}

void note_claimants_elsewhere(const GangPlanner& planner, const GangPlanner::Job& job, bool is_behind,
                              WaitFacts& facts) {
  const auto claimants = planner.claimants_elsewhere(job, is_behind);
  facts.claimant_elsewhere_count = claimants.size();
  for (const auto* one : claimants) {
    if (facts.claimants_elsewhere.size() < kMaxBlockingJobs)
      facts.claimants_elsewhere.push_back(one->demand.job);
  }
}

/// What becomes of one that the job waits for goes by others that wait, too.
void note_others(const std::string& first, std::string text, const std::vector<std::string>& others,
                 WaitFacts& facts) {
  if (others.empty()) return;
  Reason reason{"fair_share_turn", std::move(text), {}};
  name_blocking(reason, others, others.size());
  facts.first.push_back({first, {std::move(reason)}});
}

}  // namespace

WaitFacts Planning::facts_of(const Job& job) const {
  WaitFacts facts = planner_.facts_of(job);
  if (is_asked_ && job.is_pending) facts.occupants = planner_.find_in_the_way(job);
  return facts;
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
    const bool is_behind = told == told_.end() || is_behind_earlier_promise(*job);
    if (job->is_pending && (is_behind || job->workers > 0)) describe_queue(*job, served[job->queue], facts);
    if (job->is_pending && is_behind) describe_line(*job, facts);
    if (job->is_pending && told != told_.end() && job->workers == 0) describe_fixed_ahead(*job, facts);
    if (job->is_pending && told != told_.end() && !facts.room_is_coming) {
      describe_claimants(*job, facts);
      describe_stalled_users(*job, facts);
    }
    if (job->is_pending && job->demand.has_promise && tenants_.has_tenants() &&
        !planner_.has_first_claim(*job)) {
      facts.promise_queue = tenants_.full_name(job->queue);
      facts.promise_claimants = planner_.claimants_before(*job);
    }
    waits.push_back({job->demand.job, explain_wait(facts), facts.room_is_coming});
  }
  return waits;
}

/// It has had its turn, beside those, and they are in its way all the same.
bool Planning::is_behind_earlier_promise(const Job& job) const {
  return !tenants_.has_tenants() && job.demand.has_promise && !planner_.waiting_promises_before(job).empty();
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

/// Of one whose turn has come: those of its queue before it that wait for what keeps only such jobs back.
void Planning::describe_fixed_ahead(const Job& job, WaitFacts& facts) const {
  if (facts.room_is_coming || !cursors_[job.queue].is_behind_fixed) return;
  for (const Job* one : planner_.short_of(job.queue)) {
    if (one == &job) break;
    if (!planner_.is_fixed(*one) || one->workers > 0) continue;
    ++facts.fixed_ahead;
    if (facts.fixed_ahead_names.size() < kMaxBlockingJobs) facts.fixed_ahead_names.push_back(one->demand.job);
  }
}

/// Of those that keep it back though it fits now, the first.
std::optional<KeptFor> Planning::describe_reservation(const Job& job) const {
  if (job.workers > 0 || !planner_.fits_now(job.queue, shape_of(job))) return std::nullopt;
  for (const auto& kept : reservations_) {
    if (kept.job == &job || kept.is_claimed || !kept.is_before(job.queue, job.size, tenants_)) continue;
    const bool is_held = !kept.at_ms && !kept.is_unknown;  // room is being made, or one is too young
    if (is_held || kept.is_likely_after(end_of(job, now_ms_))) continue;
    return KeptFor{.job = kept.job->demand.job,
                   .at_ms = kept.at_ms,
                   .now_ms = now_ms_,
                   .lasts_ms = job.demand.lasts_ms,
                   .likely_ms = kept.likely_ms,
                   .is_guarantee = would_use_guarantee(job, kept)};
  }
  return std::nullopt;
}

/// Of a promise among tenants in whose way it would be.
std::optional<KeptFor> Planning::describe_claim(const Job& job) const {
  const auto kept =
      std::ranges::find_if(reservations_, [&](const auto& one) { return one.is_claimed && one.job != &job; });
  if (kept == reservations_.end()) return std::nullopt;
  return KeptFor{
      .job = kept->job->demand.job, .at_ms = kept->at_ms, .now_ms = now_ms_, .lasts_ms = job.demand.lasts_ms};
}

/// Of one whose turn has come.
void Planning::describe_claimants(const Job& job, WaitFacts& facts) const {
  note_claimants(planner_, tenants_, job, facts);
  if (is_asked_ && job.workers == 0) note_claimants_elsewhere(planner_, job, false, facts);
}

/// Those of other queues whose turn has come, and who wait.
std::vector<std::string> Planning::keepers_elsewhere(const Job& job) const {
  std::vector<std::string> found;
  for (const Keeper& keeper : keepers_) {
    if (keeper.job->queue != job.queue) found.push_back(keeper.job->demand.job);
  }
  return found;
}

/// Of one that waits for what a gang has that lacks workers: whoever is behind those that wait could take
/// these.
void Planning::describe_stalled_users(const Job& job, WaitFacts& facts) const {
  if (!facts.quota || !facts.quota->is_fixed) return;
  for (const std::string& user : facts.quota->users) {
    const Job& gang = *planner_.find(user);
    if (gang.workers == 0 || gang.workers >= gang.needed) continue;
    auto others = keepers_elsewhere(job);
    std::erase(others, user);
    return note_others(user,
                       "lacks workers, and who could take those that it has is behind " +
                           count_of(others.size(), "job") + " of other queues",
                       others, facts);
  }
}

/// What may start behind one of which nobody knows when it has room goes by what others take before it.
void Planning::describe_beside_unknown(const Job& job, WaitFacts& facts) const {
  if (!facts.kept_for || facts.kept_for->at_ms || !tenants_.has_tenants()) return;
  auto others = keepers_elsewhere(job);
  std::erase(others, facts.kept_for->job);
  note_others(facts.kept_for->job,
              "may find less room when " + count_of(others.size(), "job") + " of other queues " +
                  (others.size() == 1 ? "has" : "have") + " started",
              others, facts);
}

/// Of one that is behind other queues' jobs: its sisters' first that come before it, for where these meet it
/// goes by whoever is first among them.
void Planning::describe_sisters(const Job& job, TurnFacts& turn) const {
  std::size_t side = job.queue;
  for (const Keeper& keeper : keepers_) {
    if (keeper.job->queue == job.queue || !tenants_.is_below(job.queue, keeper.keeps_back)) continue;
    const auto meeting = tenants_.meet(keeper.job->queue, job.queue);
    if (tenants_[meeting.b_side].depth < tenants_[side].depth) side = meeting.b_side;
  }
  const auto within = [&](const Job& one) {
    return [this, &one](std::size_t queue) {
      return is_within_guarantee(one, queue) || is_partial_within_guarantee(one.queue, queue);
    };
  };
  for (std::size_t leaf = side; leaf < tenants_.queues.size(); ++leaf) {
    if (leaf == job.queue || !tenants_.is_below(leaf, side)) continue;
    const GangPlanner::Jobs& line = planner_.short_of(leaf);
    const auto first = std::ranges::find_if(
        line, [&](const Job* one) { return one->workers < one->needed && !told_.contains(one); });
    if (first == line.end()) continue;
    const int order = shares_.compare(planner_.minimums(), leaf, within(**first), job.queue, within(job));
    if (order > 0 || (order == 0 && GangPlanner::Before()(&job, *first))) continue;
    ++turn.jobs;
    if (turn.names.size() < kMaxBlockingJobs) turn.names.push_back((*first)->demand.job);
  }
}

/// Of one that is not preemptible: those of its queue before it that claim what keeps only such jobs back.
std::vector<const Planning::Job*> Planning::claiming_before(const Job& job) const {
  std::vector<const Job*> found;
  if (!planner_.is_fixed(job) || !cursors_[job.queue].is_behind_fixed) return found;
  for (const Job* one : planner_.short_of(job.queue)) {
    if (one == &job || found.size() == kMaxBlockers) break;
    if (planner_.is_fixed(*one) && one->workers == 0 && told_.contains(one)) found.push_back(one);
  }
  return found;
}

void Planning::describe_line(const Job& job, WaitFacts& facts) const {
  facts.kept_for = describe_reservation(job);
  if (facts.kept_for && is_asked_) note_claimants_elsewhere(planner_, job, true, facts);
  const auto keepers = line_.blockers(job.queue);
  auto before = claiming_before(job);
  std::erase_if(before, [&](const Job* one) { return std::ranges::find(keepers, one) != keepers.end(); });
  before.insert(before.begin(), keepers.begin(), keepers.end());
  for (const Job* first : before) {
    if (first == &job) continue;
    WaitFacts its = told_.at(first);
    describe_claimants(*first, its);
    if (facts.kept_for) its.occupants = its.everybody;  // any may change from when on its room is wanted
    facts.first.push_back({first->demand.job, explain_wait(its)});
  }
  describe_beside_unknown(job, facts);
  facts.turn = line_.describe_turn(job);
  if (!facts.turn) return note_gangs_before(planner_, tenants_, job, keepers, facts);
  facts.turn->claimants = planner_.claimants_before(job);
  const auto meeting = tenants_.meet(line_.first_before(job.queue)->queue, job.queue);
  facts.turn->first_share = shares_.of(planner_.minimums(), meeting.a_side);
  facts.turn->own_share = shares_.of(planner_.minimums(), meeting.b_side);
  describe_sisters(job, *facts.turn);
}

}  // namespace ds::scheduler
