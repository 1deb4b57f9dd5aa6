#include "scheduler/policy/lasting_growth.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <ranges>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/policy/lasting_preemptions.hpp"
#include "scheduler/policy/planning.hpp"

namespace ds::scheduler {
namespace {

/// So many plans are followed to the next start: others shrink, their workers are gone, relocations begin,
/// and these are through.
constexpr int kPlansAhead = 4;

/// So often those alone don't grow who would lose workers, then nobody does.
constexpr int kMaxTries = 4;

/// What comes of a plan.
struct Outcome {
  bool starts_any = false;           ///< one that waits now, soon
  std::set<std::string> taken_from;  ///< who loses workers for others by the next plan
};

Outcome outcome_of(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past,
                   std::int64_t now_ms, Plan plan) {
  Outcome outcome;
  std::vector<ToldJob> before;
  for (int ahead = 1; ahead <= kPlansAhead && !outcome.starts_any; ++ahead) {
    std::ranges::move(planner.carry_out(plan), std::back_inserter(before));
    const auto planning = serve_lastingly(planner, tenants, past, now_ms);
    outcome.starts_any = planning->has_started_any();
    auto resizes = planning->grow();
    plan = planner.end();
    plan.resizes = std::move(resizes);
    planning->put_off_partial_growth(plan);
    if (ahead > 1) continue;
    for (const Release& release : plan.releases) outcome.taken_from.insert(release.job);
    for (const SizeChange& change : plan.resizes) {
      if (change.to < change.from) outcome.taken_from.erase(change.job);  // not for one that waits
    }
    if (outcome.taken_from.empty()) break;
  }
  for (auto& [job, demand, leases] : std::views::reverse(before))
    planner.set_job(job, std::move(demand), std::move(leases));
  return outcome;
}

/// As nobody starts, all others that get workers grow.
std::set<std::string> growing_in(const Plan& plan) {
  std::set<std::string> jobs;
  for (const Placement& one : plan.placements) jobs.insert(one.job);
  for (const Relocation& one : plan.relocations) jobs.erase(one.job);
  return jobs;
}

/// And as many of those that were taken from them after they had grown: for others' growth too.
void drop_growth(Plan& plan, const std::set<std::string>& jobs) {
  std::map<std::string, std::uint32_t> dropped;
  std::erase_if(plan.placements, [&](const Placement& one) {
    if (!jobs.contains(one.job)) return false;
    dropped[one.job] += one.count;
    return true;
  });
  for (std::size_t i = plan.releases.size(); i-- > 0;) {
    const auto found = dropped.find(plan.releases[i].job);
    if (found == dropped.end() || found->second == 0) continue;
    --found->second;
    plan.releases.erase(plan.releases.begin() + static_cast<std::ptrdiff_t>(i));
  }
  std::erase_if(plan.resizes,
                [&](const SizeChange& one) { return one.to > one.from && jobs.contains(one.job); });
}

Plan plan_without_growth_of(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past,
                            std::int64_t now_ms, const std::set<std::string>& jobs) {
  const auto planning = serve_lastingly(planner, tenants, past, now_ms);
  auto resizes = planning->grow(&jobs);
  Plan plan = planner.end();
  plan.resizes = std::move(resizes);
  planning->put_off_partial_growth(plan);
  return plan;
}

/// Those that the plan gives workers and takes some from, for others that grow: they would be given them
/// again by the next.
std::set<std::string> replaced_in(const Plan& plan) {
  std::set<std::string> jobs = growing_in(plan);
  std::erase_if(jobs, [&](const std::string& job) {
    return std::ranges::find(plan.releases, job, &Release::job) == plan.releases.end();
  });
  return jobs;
}

/// Takes out of a plan by which nobody starts the growth that would be taken back in vain. Those that don't
/// grow now, though they would.
std::set<std::string> keep_lasting_growth(GangPlanner& planner, const TenantTree& tenants,
                                          std::span<const PastUse> past, std::int64_t now_ms, Plan& plan) {
  std::set<std::string> kept;  // from growing
  for (int tries = 1;; ++tries) {
    const std::set<std::string> growing = growing_in(plan);
    if (growing.empty()) return kept;
    if (auto replaced = replaced_in(plan); !replaced.empty()) {
      if (tries == kMaxTries) {
        drop_growth(plan, growing);
        return kept;
      }
      kept.merge(replaced);
      plan = plan_without_growth_of(planner, tenants, past, now_ms, kept);
      continue;
    }
    const Outcome outcome = outcome_of(planner, tenants, past, now_ms, plan);
    if (outcome.starts_any || outcome.taken_from.empty()) return kept;
    std::set<std::string> losing;
    std::ranges::set_intersection(growing, outcome.taken_from, std::inserter(losing, losing.end()));
    if (losing.empty() || tries == kMaxTries) {
      drop_growth(plan, growing);
      return kept;
    }
    // What they had grown into is others', who need not take it from them.
    kept.merge(losing);
    plan = plan_without_growth_of(planner, tenants, past, now_ms, kept);
  }
}

}  // namespace

LastingPlan finish_with_lasting_growth(GangPlanner& planner, const TenantTree& tenants,
                                       std::span<const PastUse> past, std::int64_t now_ms,
                                       Planning& planning) {
  LastingPlan lasting;
  auto resizes = planning.grow();
  const bool may_take_back = (planning.has_waiting() || tenants.has_tenants()) && !planning.has_started_any();
  lasting.plan = planner.end();
  lasting.plan.resizes = std::move(resizes);
  planning.put_off_partial_growth(lasting.plan);
  if (may_take_back) lasting.kept = keep_lasting_growth(planner, tenants, past, now_ms, lasting.plan);
  return lasting;
}

namespace {

/// Those for whose sake workers were taken from jobs that would have some back by the next plan.
std::set<std::string> moved_in_vain(GangPlanner& planner, const TenantTree& tenants,
                                    std::span<const PastUse> past, std::int64_t now_ms, const Plan& plan) {
  auto before = planner.carry_out(plan);
  const auto planning = serve_lastingly(planner, tenants, past, now_ms);
  const Plan next = finish_with_lasting_growth(planner, tenants, past, now_ms, *planning).plan;
  for (auto& [job, demand, leases] : std::views::reverse(before))
    planner.set_job(job, std::move(demand), std::move(leases));
  std::set<std::string> jobs;
  for (const SizeChange& change : plan.resizes) {
    if (!change.because.empty() &&
        std::ranges::find(next.placements, change.job, &Placement::job) != next.placements.end())
      jobs.insert(change.in_favour_of);
  }
  return jobs;
}

}  // namespace

void keep_lasting_moves(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past,
                        std::int64_t now_ms, Plan& plan, std::set<std::string> kept) {
  const auto is_move = [](const SizeChange& change) { return !change.because.empty(); };
  for (int tries = 1; std::ranges::any_of(plan.resizes, is_move); ++tries) {
    auto in_vain = moved_in_vain(planner, tenants, past, now_ms, plan);
    if (in_vain.empty()) return;
    if (tries == kMaxTries) {  // such moves are all that a plan does
      plan.releases.clear();
      plan.resizes.clear();
      return;
    }
    kept.merge(in_vain);
    plan = plan_without_growth_of(planner, tenants, past, now_ms, kept);
  }
}

}  // namespace ds::scheduler
