#include "scheduler/policy/lasting_preemptions.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <ranges>
#include <tuple>
#include <utility>

#include "scheduler/policy/planning.hpp"

namespace ds::scheduler {
namespace {

/// So often others are tried for a job in place of those who were preempted in vain, then nobody is.
constexpr int kMaxTries = 4;

/// So many plans are followed: room is made for others before.
constexpr int kPlansAhead = 3;

/// Who is preempted for whom, but for those with a promise.
std::map<std::string, std::set<std::string>> victims_in(const GangPlanner& planner, const Plan& plan) {
  std::map<std::string, std::set<std::string>> found;
  for (const Preemption& one : plan.preemptions) {
    if (!planner.find(one.by)->demand.has_promise) found[one.by].insert(one.job);
  }
  return found;
}

/// See `plan_jobs`. Who is not preemptible stays, and of these there are finitely many: each is above all
/// others.
using Rank = std::tuple<bool, std::size_t, std::uint32_t>;

/// What comes of plans: jobs that have their minimum and had it not before, and those that have lost theirs.
struct Outcome {
  std::set<std::string> started, stopped;

  /// Of a plan: of the starts those among the jobs that it changed first.
  void note(std::span<GangJob* const> changed, std::size_t first) {
    for (std::size_t i = 0; i < changed.size(); ++i) {
      const GangJob& job = *changed[i];
      const std::string& id = job.demand.job;
      const bool had = job.started >= job.needed, has = job.workers >= job.needed;
      if (!had && has && i < first && stopped.erase(id) == 0) started.insert(id);
      if (had && !has && started.erase(id) == 0) stopped.insert(id);
    }
  }
  /// Whether the ranks of all that run, the highest first, are greater than before.
  bool is_greater(const GangPlanner& planner) const {
    const auto ranks_of = [&](const std::set<std::string>& jobs) {
      std::vector<Rank> ranks;
      for (const std::string& id : jobs) {
        const GangJob& job = *planner.find(id);
        ranks.emplace_back(planner.is_fixed(job), job.guaranteed_levels, job.demand.priority);
      }
      std::ranges::sort(ranks, std::greater());
      return ranks;
    };
    return ranks_of(started) > ranks_of(stopped);
  }
};

/// As reasons of one that could preempt these.
std::vector<Reason> as_if_gone(std::vector<Reason> reasons, const std::set<std::string>& whom) {
  const std::string others = whom.size() == 1 ? "" : " and " + std::to_string(whom.size() - 1) + " more";
  for (Reason& reason : reasons)
    reason.text = "would wait all the same if " + *whom.begin() + others + " were preempted: " + reason.text;
  return reasons;
}

class Lasting {
 public:
  Lasting(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past, std::int64_t now_ms)
      : planner_(planner), tenants_(tenants), past_(past), now_ms_(now_ms) {}

  /// `depth`: of the plans that are followed, whether theirs are, too.
  std::unique_ptr<Planning> serve(InVain in_vain, int depth, bool is_asked) {
    while (true) {
      auto planning = serve_once(in_vain, is_asked);
      if (depth == 0 || !tenants_.has_tenants() || !planner_.preempts_any() || in_vain.is_given_up)
        return planning;
      Outcome outcome;
      outcome.note(planner_.touched(), 0);
      const Plan plan = planner_.end();
      std::vector<ToldJob> before = planner_.carry_out(plan);
      const bool is_any = add_what_was_in_vain(plan, std::move(outcome), in_vain, depth, is_asked, before);
      for (auto& [job, demand, leases] : std::views::reverse(before))
        planner_.set_job(job, std::move(demand), std::move(leases));
      if (!is_any) return serve_once(in_vain, is_asked);
      in_vain.is_given_up = looked_at_ >= kMaxPlansLookedAt;
    }
  }

 private:
  std::unique_ptr<Planning> serve_once(const InVain& in_vain, bool is_asked) {
    ++looked_at_;
    planner_.begin();
    auto planning = std::make_unique<Planning>(planner_, tenants_, past_, now_ms_, is_asked, in_vain);
    planning->serve_minimums();
    planning->backfill();
    return planning;
  }
  bool add_what_was_in_vain(const Plan& plan, Outcome outcome, InVain& in_vain, int depth, bool is_asked,
                            std::vector<ToldJob>& before);

  GangPlanner& planner_;
  const TenantTree& tenants_;
  const std::span<const PastUse> past_;
  const std::int64_t now_ms_;
  int looked_at_ = 0;
};

/// Adds what was in vain of what this plan preempts, which is carried out; false: nothing was. `outcome`:
/// whom it stops. In those that follow nobody is preempted for the same, so they are what will be, up to
/// where in one of them the first of these has its turn and does not start. What they change goes to
/// `before`.
bool Lasting::add_what_was_in_vain(const Plan& plan, Outcome outcome, InVain& in_vain, int depth,
                                   bool is_asked, std::vector<ToldJob>& before) {
  const auto victims = victims_in(planner_, plan);
  auto waiting = victims;
  InVain ahead = in_vain;
  for (const auto& [by, whom] : victims) ahead.nobody_for.insert(by);
  std::map<std::string, std::vector<Reason>> why;
  for (int plans = 1; !waiting.empty(); ++plans) {
    const auto next = serve(ahead, depth - 1, is_asked && plans == 1);
    outcome.note(planner_.touched(), next->changed_before_vain_turns());
    const bool is_greater = outcome.is_greater(planner_);
    for (const auto& [by, whom] : victims) {
      const GangJob* job = planner_.find(by);
      if (job->workers >= job->needed || is_greater) {
        waiting.erase(by);
      } else if (plans == 1) {
        why[by] = as_if_gone(next->explain(std::span(&job, 1)).front().reasons, whom);
      }
    }
    const Plan then = planner_.end();
    const bool is_rest = then.releases.empty() && then.placements.empty();
    if (is_rest || next->changed_before_vain_turns() != Planning::kNone || plans == kPlansAhead) break;
    std::ranges::move(planner_.carry_out(then), std::back_inserter(before));
  }
  for (const auto& [by, whom] : waiting) {
    InVain::Tried& tried = in_vain.jobs[by];
    tried.spared.insert(whom.begin(), whom.end());
    tried.why = std::move(why[by]);
    if (++tried.times == kMaxTries) in_vain.nobody_for.insert(by);
  }
  return !waiting.empty();
}

}  // namespace

std::unique_ptr<Planning> serve_lastingly(GangPlanner& planner, const TenantTree& tenants,
                                          std::span<const PastUse> past, std::int64_t now_ms, bool is_asked) {
  return Lasting(planner, tenants, past, now_ms).serve({}, 2, is_asked);
}

}  // namespace ds::scheduler
