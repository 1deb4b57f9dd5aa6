#include "scheduler/policy/plan.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/lasting_growth.hpp"
#include "scheduler/policy/lasting_preemptions.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/planning.hpp"

namespace ds::scheduler {

Planner::Planner(TenantTree tenants)
    : tenants_(std::move(tenants)), state_(std::make_unique<GangPlanner>(tenants_)) {}

Planner::~Planner() = default;

void Planner::set_nodes(std::vector<NodeView> nodes) {
  std::set<std::string> gone;
  for (NodeView& node : state_->nodes()) gone.insert(std::move(node.id));
  for (const NodeView& node : nodes) gone.erase(node.id);
  change_nodes(std::move(nodes), std::vector<std::string>(gone.begin(), gone.end()));
}

void Planner::change_nodes(std::vector<NodeView> changed, std::span<const std::string> gone) {
  std::erase_if(changed, [this](const NodeView& node) {
    const NodeView* known = state_->find_node(node.id);
    return known != nullptr && *known == node;
  });
  if (!changed.empty() || !gone.empty()) state_->change_nodes(std::move(changed), gone);
}

void Planner::set_tenants(TenantTree tenants) {
  if (tenants == tenants_) return;
  auto nodes = state_->nodes();
  auto jobs = state_->take_jobs();
  tenants_ = std::move(tenants);
  state_ = std::make_unique<GangPlanner>(tenants_);
  state_->change_nodes(std::move(nodes), {});
  for (auto& job : jobs) {
    const std::string id = job->demand.job;
    state_->set_job(id, job->is_wanted ? std::optional(std::move(job->demand)) : std::nullopt,
                    std::move(job->leases));
  }
}

void Planner::set_job(const std::string& job, std::optional<Demand> demand, std::vector<Lease> leases) {
  state_->set_job(job, std::move(demand), std::move(leases));
}

ToldJob Planner::told(const std::string& job) const {
  return state_->told(job);
}

std::uint64_t Planner::count_releasing() const {
  return state_->count_releasing();
}

Plan Planner::plan(std::span<const PastUse> past, std::int64_t now_ms) {
  const auto planning = serve_lastingly(*state_, tenants_, past, now_ms);
  return finish(*planning, past, now_ms);
}

Plan Planner::finish(Planning& planning, std::span<const PastUse> past, std::int64_t now_ms) {
  auto [plan, kept] = finish_with_lasting_growth(*state_, tenants_, past, now_ms, planning);
  keep_lasting_moves(*state_, tenants_, past, now_ms, plan, std::move(kept));
  return plan;
}

bool Planner::may_explain_exactly(std::size_t jobs) const {
  return jobs <= kMaxExactlyExplained || jobs * state_->count_occupants() <= kMaxExactSteps;
}

/// Of these jobs those that it knows and that may run.
std::vector<const GangJob*> Planner::find_all(std::span<const std::string> jobs) const {
  std::vector<const GangJob*> found;
  for (const std::string& id : jobs) {
    if (const auto* job = state_->find(id)) found.push_back(job);
  }
  return found;
}

std::vector<Wait> Planner::explain(std::span<const std::string> jobs, std::span<const PastUse> past,
                                   std::int64_t now_ms) {
  const auto planning = serve_lastingly(*state_, tenants_, past, now_ms, may_explain_exactly(jobs.size()));
  auto waits = planning->explain(find_all(jobs));
  state_->end();
  return waits;
}

Plan Planner::plan_and_explain_roughly(std::span<const std::string> jobs, std::span<const PastUse> past,
                                       std::int64_t now_ms) {
  const auto planning = serve_lastingly(*state_, tenants_, past, now_ms);
  auto waits = planning->explain(find_all(jobs));
  Plan plan = finish(*planning, past, now_ms);
  plan.waits = std::move(waits);
  return plan;
}

std::optional<StartForecast> Planner::forecast(const std::string& id, const GangEnds& ends,
                                               std::span<const PastUse> past, std::int64_t now_ms) {
  const auto* job = state_->find(id);
  if (job == nullptr || job->workers >= job->needed) return std::nullopt;
  const auto planning = serve_lastingly(*state_, tenants_, past, now_ms);
  const auto found = planning->forecast(*job, ends);
  state_->end();
  return found;
}

std::optional<std::int64_t> Planner::promised_start(const std::string& id, std::int64_t leaving_ms,
                                                    std::span<const PastUse> past, std::int64_t now_ms) {
  const auto* job = state_->find(id);
  if (job == nullptr) return std::nullopt;
  const auto planning = serve_lastingly(*state_, tenants_, past, now_ms);
  const auto found = planning->promised_start(*job, leaving_ms);
  state_->end();
  return found;
}

bool Planner::could_ever_start(const std::string& id) const {
  const auto* job = state_->find(id);
  return job != nullptr && !waits_for_ever(state_->facts_of(*job));
}

Plan Planner::plan_and_explain(std::span<const PastUse> past, std::int64_t now_ms) {
  const auto planning =
      serve_lastingly(*state_, tenants_, past, now_ms, may_explain_exactly(state_->count_waiting()));
  auto waits = planning->explain(planning->waiting());
  Plan plan = finish(*planning, past, now_ms);
  plan.waits = std::move(waits);
  return plan;
}

void Planner::tell_all(std::span<const NodeView> nodes, std::span<const Lease> leases,
                       std::span<const Demand> demands) {
  std::map<std::string_view, std::vector<Lease>> by_job;
  for (const Lease& lease : leases) by_job[lease.job].push_back(lease);
  set_nodes({nodes.begin(), nodes.end()});
  for (const Demand& demand : demands) {
    const auto found = by_job.find(demand.job);
    set_job(demand.job, demand, found == by_job.end() ? std::vector<Lease>{} : found->second);
    if (found != by_job.end()) by_job.erase(found);
  }
  for (auto& [job, held] : by_job) set_job(std::string(job), std::nullopt, std::move(held));
}

Plan plan_jobs(std::span<const NodeView> nodes, std::span<const Lease> leases,
               std::span<const Demand> demands, const TenantTree& tenants, std::span<const PastUse> past,
               std::int64_t now_ms) {
  Planner planner(tenants);
  planner.tell_all(nodes, leases, demands);
  return planner.plan_and_explain(past, now_ms);
}

}  // namespace ds::scheduler
