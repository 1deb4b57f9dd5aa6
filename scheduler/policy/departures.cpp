#include "scheduler/policy/departures.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

#include "scheduler/policy/over_quota.hpp"

namespace ds::scheduler {
namespace {

/// The workers that each job that loses some will have when the plan is carried out.
std::map<std::string_view, std::uint32_t> count_left(const std::vector<Release>& departures,
                                                     std::span<const Lease> leases, const Plan& plan) {
  std::map<std::string_view, std::uint32_t> left;
  for (const Release& departure : departures) left.emplace(departure.job, 0);
  const auto count = [&](const std::string& job, std::uint32_t more) {
    if (const auto found = left.find(job); found != left.end()) found->second += more;
  };
  for (const Lease& lease : leases) {
    if (lease.role == Role::worker && !lease.releasing) count(lease.job, 1);
  }
  for (const Release& release : plan.releases) count(release.job, static_cast<std::uint32_t>(-1));
  for (const Placement& placement : plan.placements) count(placement.job, placement.count);
  return left;
}

/// Those beyond their jobs' maximums, the newest first; marks them as releasing.
void release_surplus(std::vector<Lease>& leases, std::span<const Demand> demands,
                     std::vector<Release>& departures) {
  std::map<std::string_view, std::uint32_t> live, surplus;
  for (const Lease& lease : leases) {
    if (lease.role == Role::worker && !lease.releasing) ++live[lease.job];
  }
  for (const Demand& demand : demands) {
    const auto found = live.find(demand.job);
    const std::uint32_t most = std::max(demand.workers.max, 1U);
    if (found != live.end() && found->second > most) surplus.emplace(demand.job, found->second - most);
  }
  if (surplus.empty()) return;
  std::vector<Lease*> newest;
  for (Lease& lease : leases) {
    if (lease.role == Role::worker && !lease.releasing && surplus.contains(lease.job))
      newest.push_back(&lease);
  }
  std::ranges::sort(newest, std::greater(), [](const Lease* lease) { return lease->worker; });
  for (Lease* lease : newest) {
    if (surplus[lease->job] == 0) continue;
    --surplus[lease->job];
    lease->releasing = true;
    departures.push_back({lease->job, lease->worker});
  }
}

/// Whether the plan has room for the job once workers of others are gone that it, or an earlier plan, has
/// told to stop; and takes nothing of what the job has. Not where its quota is not enough for old and new
/// workers together: it could wait for ever where somebody is always leaving.
bool has_room_soon(const Plan& plan, std::string_view job, bool are_others_leaving) {
  const auto wait = std::ranges::find(plan.waits, job, &Wait::job);
  if (wait == plan.waits.end() || !wait->room_is_coming) return false;
  if (std::ranges::find(wait->reasons, "quota_tenant", &Reason::code) != wait->reasons.end()) return false;
  const bool is_taken_from = std::ranges::find(plan.releases, job, &Release::job) != plan.releases.end();
  return !is_taken_from && (are_others_leaving || !plan.releases.empty());
}

bool is_released(const Plan& plan, std::uint64_t worker) {
  return std::ranges::find(plan.releases, worker, &Release::worker) != plan.releases.end();
}

}  // namespace

PlanWithDepartures plan_with_departures(std::span<const NodeView> nodes, std::vector<Lease> leases,
                                        std::span<const Demand> demands, const TenantTree& tenants,
                                        std::span<const PastUse> past, const NodeNames& drained,
                                        std::int64_t now_ms) {
  PlanWithDepartures result;
  const bool are_others_leaving = std::ranges::any_of(
      leases, [](const Lease& lease) { return lease.role == Role::worker && lease.releasing; });
  for (Lease& lease : leases) {
    if (lease.role != Role::worker || lease.releasing || !drained.contains(lease.node)) continue;
    lease.releasing = true;
    result.departures.push_back({lease.job, lease.worker});
  }
  release_surplus(leases, demands, result.departures);
  result.over_quota = release_over_quota(leases, demands, tenants);
  result.departures.insert(result.departures.end(), result.over_quota.begin(), result.over_quota.end());
  result.plan = plan_jobs(nodes, leases, demands, tenants, past, now_ms);
  if (result.departures.empty()) return result;
  const auto left = count_left(result.departures, leases, result.plan);
  std::set<std::string, std::less<>> staying;
  for (const auto& [job, workers] : left) {
    const auto demand = std::ranges::find(demands, job, &Demand::job);
    if (demand == demands.end() || workers >= std::max(demand->workers.min, 1U)) continue;
    const auto& preempted = result.plan.preemptions;
    if (std::ranges::find(preempted, job, &Preemption::job) != preempted.end()) continue;
    if (has_room_soon(result.plan, job, are_others_leaving)) {
      staying.emplace(job);
    } else {
      result.stopped.emplace_back(job);
    }
  }
  for (const Lease& lease : leases) {
    if (lease.role != Role::worker || lease.releasing) continue;
    const bool is_stopped = std::ranges::find(result.stopped, lease.job) != result.stopped.end();
    if (is_stopped && !is_released(result.plan, lease.worker))
      result.departures.push_back({lease.job, lease.worker});
  }
  std::erase_if(result.departures, [&](const Release& one) { return staying.contains(one.job); });
  return result;
}

std::optional<std::uint64_t> choose_departing_server(std::span<const Lease> leases,
                                                     std::span<const std::uint64_t> servers,
                                                     std::uint32_t wanted, const NodeNames& drained) {
  std::optional<std::uint64_t> chosen;
  std::uint32_t settled = 0;
  for (const Lease& lease : leases) {
    if (lease.role != Role::server) continue;
    const bool is_settled = !lease.releasing && std::ranges::find(servers, lease.worker) != servers.end();
    if (!is_settled) return std::nullopt;
    ++settled;
    if (drained.contains(lease.node)) chosen = chosen.value_or(lease.worker);
  }
  return settled < wanted ? std::nullopt : chosen;
}

}  // namespace ds::scheduler
