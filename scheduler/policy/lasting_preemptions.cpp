#include "scheduler/policy/lasting_preemptions.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <set>
#include <tuple>
#include <utility>

#include "scheduler/policy/planning.hpp"

namespace ds::scheduler {
namespace {

/// So often others are tried in place of those who were preempted in vain, then nobody is preempted; and so
/// often in a plan that is only followed.
constexpr int kMaxTries = 8, kMaxTriesAhead = 2;

/// So many plans are followed: others shrink for one that starts, and others are preempted for it.
constexpr int kPlansAhead = 3;

/// See `plan_jobs`. Who is not preemptible stays, and of these there are finitely many: each is above all
/// others.
using Rank = std::tuple<bool, std::size_t, std::uint32_t>;

Rank rank_of(const GangPlanner& planner, const GangJob& job) {
  return {planner.is_fixed(job), job.guaranteed_levels, job.demand.priority};
}

/// Who is preempted for whom, but for those with a promise.
std::map<std::string, std::set<std::string>> victims_in(const GangPlanner& planner, const Plan& plan) {
  std::map<std::string, std::set<std::string>> found;
  for (const Preemption& one : plan.preemptions) {
    if (!planner.find(one.by)->demand.has_promise) found[one.by].insert(one.job);
  }
  return found;
}

/// What comes of a plan: jobs that have their minimum and had none before, and those that lost theirs.
struct Outcome {
  std::set<std::string> started, stopped;

  void note(const GangPlanner& planner) {
    for (const GangJob* job : planner.touched()) {
      const std::string& id = job->demand.job;
      const bool had = job->started >= job->needed, has = job->workers >= job->needed;
      if (!had && has && stopped.erase(id) == 0) started.insert(id);
      if (had && !has && started.erase(id) == 0) stopped.insert(id);
    }
  }
  /// Whether the ranks of all that run, the highest first, are greater than before.
  bool is_greater(const GangPlanner& planner) const {
    const auto highest = [&](const std::set<std::string>& jobs) {
      Rank rank{};
      for (const std::string& id : jobs) rank = std::max(rank, rank_of(planner, *planner.find(id)));
      return rank;
    };
    return !started.empty() && (stopped.empty() || highest(started) > highest(stopped));
  }
};

/// How a plan is looked for: with what was found so far, by how many tries, and how deep.
struct Search {
  InVain in_vain = {};
  int tries = kMaxTries;
  int depth = 1;  ///< whether what is preempted by plans that are followed is asked for, too
};

class Lasting {
 public:
  Lasting(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past, std::int64_t now_ms)
      : planner_(planner), tenants_(tenants), past_(past), now_ms_(now_ms) {}

  std::unique_ptr<Planning> serve(Search search, bool is_asked) {
    while (true) {
      auto planning = serve_once(search.in_vain, is_asked);
      if (!tenants_.has_tenants() || !planner_.preempts_any() || search.in_vain.is_given_up) return planning;
      Outcome outcome;
      outcome.note(planner_);
      outcome.started.clear();  // with nobody's help
      const Plan plan = planner_.end();
      std::vector<ToldJob> before = planner_.carry_out(plan);
      const bool is_any = add_what_was_in_vain(plan, std::move(outcome), search, is_asked, before);
      for (auto& [job, demand, leases] : std::views::reverse(before))
        planner_.set_job(job, std::move(demand), std::move(leases));
      if (!is_any) return serve_once(search.in_vain, is_asked);
      search.in_vain.is_given_up = --search.tries == 0;
    }
  }

 private:
  std::unique_ptr<Planning> serve_once(const InVain& in_vain, bool is_asked) {
    planner_.begin();
    auto planning = std::make_unique<Planning>(planner_, tenants_, past_, now_ms_, is_asked, in_vain);
    planning->serve_minimums();
    planning->backfill();
    return planning;
  }
  bool add_what_was_in_vain(const Plan& plan, Outcome outcome, Search& search, bool is_asked,
                            std::vector<ToldJob>& before);

  GangPlanner& planner_;
  const TenantTree& tenants_;
  const std::span<const PastUse> past_;
  const std::int64_t now_ms_;
};

/// Adds what was in vain of what this plan preempts, which is carried out; false: nothing was. `outcome`: of
/// the plan. By those that follow nobody is preempted for the same. What these change goes to `before`.
bool Lasting::add_what_was_in_vain(const Plan& plan, Outcome outcome, Search& search, bool is_asked,
                                   std::vector<ToldJob>& before) {
  const auto victims = victims_in(planner_, plan);
  Search ahead{search.in_vain, kMaxTriesAhead, search.depth - 1};
  for (const auto& [by, whom] : victims) ahead.in_vain.nobody_for.insert(by);
  std::map<std::string, InVain::Tried> found;
  for (int plans = 1; plans <= kPlansAhead; ++plans) {
    const auto next = search.depth > 0 ? serve(ahead, is_asked) : serve_once(ahead.in_vain, is_asked);
    outcome.note(planner_);
    const bool is_greater = outcome.is_greater(planner_);
    for (const auto& [by, whom] : victims) {
      const GangJob* job = planner_.find(by);
      if (job->workers >= job->needed || is_greater) {
        found.erase(by);
      } else if (plans == 1) {
        found[by] = {whom, next->explain(std::span(&job, 1)).front().reasons};
      }
    }
    const Plan then = planner_.end();
    if (found.empty() || (then.releases.empty() && then.placements.empty())) break;
    std::ranges::move(planner_.carry_out(then), std::back_inserter(before));
  }
  for (auto& [by, tried] : found) {
    InVain::Tried& all = search.in_vain.jobs[by];
    all.spared.merge(tried.spared);
    all.why = std::move(tried.why);
  }
  return !found.empty();
}

}  // namespace

std::unique_ptr<Planning> serve_lastingly(GangPlanner& planner, const TenantTree& tenants,
                                          std::span<const PastUse> past, std::int64_t now_ms, bool is_asked) {
  return Lasting(planner, tenants, past, now_ms).serve(Search{}, is_asked);
}

}  // namespace ds::scheduler
