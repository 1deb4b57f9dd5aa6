// Workers that must leave, whoever waits: nodes are drained, jobs scaled down, quotas lowered.
#include <algorithm>
#include <utility>

#include "actors/head/head_actor.hpp"

namespace ds::head {

using namespace scheduler;

/// A server of a job without workers stays until it has some.
bool Head::must_leave() const {
  const auto leaves = [this](const Lease& lease) {
    return !lease.releasing && (lease.role == Role::worker || ledger_.find(lease.job)->workers > 0);
  };
  return std::ranges::any_of(drained_nodes(), [&](const auto& node) {
    return std::ranges::any_of(ledger_.leases_on(node), leaves);
  });
}

/// All is planned from what has changed. Beside it jobs are looked at from whom workers have to leave, and
/// all jobs as long as a queue may have more than it may now.
PlanWithDepartures Head::make_plan() {
  const auto past = ledger_.past_use(now_ms());
  if (may_be_over_quota_ && !is_quota_passed(ledger_, ledger_.tenants())) may_be_over_quota_ = false;
  const bool is_anybody_leaving = must_leave() || !overfull_.empty();
  if (!is_anybody_leaving && !may_be_over_quota_) return {{}, {}, {}, planner_.plan(past, now_ms())};
  MayDepart may_depart{.leases = {}, .demands = {}, .drained = drained_nodes()};
  std::set<std::string> jobs = overfull_;
  for (const auto& node : may_depart.drained)
    for (const auto& lease : ledger_.leases_on(node)) jobs.insert(lease.job);
  if (may_be_over_quota_) {
    may_depart.over_quota = &ledger_.tenants();
    for (const auto& [worker, lease] : ledger_.leases()) jobs.insert(lease.job);
  }
  for (const auto& id : jobs) {
    std::ranges::move(ledger_.leases_of(id), std::back_inserter(may_depart.leases));
    const auto* record = ledger_.find(id);
    auto demand = record == nullptr ? std::nullopt : ledger_.demand(*record, now_ms());
    if (!demand) continue;
    limit_growth(*record, *demand);
    demand->workers.min = std::min(demand->workers.min, record->least());
    may_depart.demands.push_back(*std::move(demand));
  }
  auto planned = plan_with_departures(planner_, std::move(may_depart), past, now_ms());
  // What is still over is not preemptible.
  if (!is_anybody_leaving && planned.over_quota.empty()) may_be_over_quota_ = false;
  return planned;
}

std::vector<std::uint64_t> Head::departing_servers() const {
  std::vector<std::uint64_t> chosen;
  const auto drained = drained_nodes();
  std::set<std::string> jobs;
  for (const auto& node : drained) {
    for (const auto& lease : ledger_.leases_on(node)) {
      if (lease.role == Role::server) jobs.insert(lease.job);
    }
  }
  for (const auto& id : jobs) {
    const auto* record = ledger_.find(id);
    if (record == nullptr || record->workers == 0 || !jobs_.contains(id)) continue;
    const auto wanted = record->spec->count_of(Role::server);
    if (wanted == 0) continue;
    const auto server = choose_departing_server(ledger_.leases_of(id), record->servers, wanted, drained);
    if (server) chosen.push_back(*server);
  }
  return chosen;
}

}  // namespace ds::head
