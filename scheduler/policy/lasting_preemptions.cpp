#include "scheduler/policy/lasting_preemptions.hpp"

#include <algorithm>
#include <ranges>
#include <set>
#include <tuple>
#include <utility>

#include "scheduler/policy/planning.hpp"

namespace ds::scheduler {
namespace {

/// So often others are tried in place of those who were preempted in vain, then nobody is preempted.
constexpr int kMaxTries = 8;

std::unique_ptr<Planning> serve(GangPlanner& planner, const TenantTree& tenants,
                                std::span<const PastUse> past, std::int64_t now_ms, bool is_asked,
                                const InVain& in_vain) {
  planner.begin();
  auto planning = std::make_unique<Planning>(planner, tenants, past, now_ms, is_asked, in_vain);
  planning->serve_minimums();
  planning->backfill();
  return planning;
}

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

/// Those that have their minimum by this plan, but for these.
std::vector<const GangJob*> started_but(const GangPlanner& planner, const Plan& before) {
  std::vector<const GangJob*> found;
  for (const GangJob* job : planner.touched()) {
    const bool is_back =
        std::ranges::find(before.preemptions, job->demand.job, &Preemption::job) != before.preemptions.end();
    if (job->started < job->needed && job->workers >= job->needed && !is_back) found.push_back(job);
  }
  return found;
}

/// Adds what was in vain of what this plan preempts, which is carried out; false: nothing was. By the next
/// plan nobody is preempted for the same: what that would be for is the plan after it.
bool add_what_was_in_vain(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past,
                          std::int64_t now_ms, bool is_asked, const Plan& plan, InVain& in_vain) {
  const auto victims = victims_in(planner, plan);
  InVain then = in_vain;
  for (const auto& [by, whom] : victims) then.nobody_for.insert(by);
  const auto next = serve(planner, tenants, past, now_ms, is_asked, then);
  const auto started = started_but(planner, plan);
  bool is_any = false;
  for (const auto& [by, whom] : victims) {
    const GangJob* job = planner.find(by);
    if (job->workers >= job->needed) continue;
    Rank highest{};
    for (const std::string& victim : whom)
      highest = std::max(highest, rank_of(planner, *planner.find(victim)));
    const auto is_above = [&](const GangJob* one) { return rank_of(planner, *one) > highest; };
    if (std::ranges::any_of(started, is_above)) continue;
    InVain::Tried& tried = in_vain.jobs[by];
    tried.spared.insert(whom.begin(), whom.end());
    tried.why = next->explain(std::span(&job, 1)).front().reasons;
    is_any = true;
  }
  planner.end();
  return is_any;
}

}  // namespace

std::unique_ptr<Planning> serve_lastingly(GangPlanner& planner, const TenantTree& tenants,
                                          std::span<const PastUse> past, std::int64_t now_ms, bool is_asked) {
  InVain in_vain;
  for (int tries = 1;; ++tries) {
    auto planning = serve(planner, tenants, past, now_ms, is_asked, in_vain);
    if (!tenants.has_tenants() || !planner.preempts_any() || in_vain.is_given_up) return planning;
    const Plan plan = planner.end();
    auto before = planner.carry_out(plan);
    const bool is_any = add_what_was_in_vain(planner, tenants, past, now_ms, is_asked, plan, in_vain);
    for (auto& [job, demand, leases] : std::views::reverse(before))
      planner.set_job(job, std::move(demand), std::move(leases));
    if (!is_any) return serve(planner, tenants, past, now_ms, is_asked, in_vain);
    in_vain.is_given_up = tries == kMaxTries;
  }
}

}  // namespace ds::scheduler
