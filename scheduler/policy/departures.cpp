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
bool has_room_soon(const Plan& plan, std::span<const Wait> waits, std::string_view job,
                   bool are_others_leaving) {
  const auto wait = std::ranges::find(waits, job, &Wait::job);
  if (wait == waits.end() || !wait->room_is_coming) return false;
  if (std::ranges::find(wait->reasons, "quota_tenant", &Reason::code) != wait->reasons.end()) return false;
  const bool is_taken_from = std::ranges::find(plan.releases, job, &Release::job) != plan.releases.end();
  return !is_taken_from && (are_others_leaving || !plan.releases.empty());
}

bool is_released(const Plan& plan, std::uint64_t worker) {
  return std::ranges::find(plan.releases, worker, &Release::worker) != plan.releases.end();
}

/// Who leaves, and what is planned beside it.
class Departing {
 public:
  Departing(Planner& planner, MayDepart may_depart) : planner_(planner), in_(std::move(may_depart)) {
    std::ranges::sort(in_.leases, {}, &Lease::worker);
  }

  PlanWithDepartures plan(std::span<const PastUse> past, std::int64_t now_ms, bool with_waits) {
    const bool are_others_leaving = planner_.count_releasing() > 0;
    choose();
    std::vector<ToldJob> before = tell_planner();
    if (with_waits) {
      result_.plan = planner_.plan_and_explain(past, now_ms);
    } else {
      std::vector<std::string> losing;
      for (const ToldJob& job : before) losing.push_back(job.job);
      result_.plan = planner_.plan_and_explain_roughly(losing, past, now_ms);
    }
    stop_or_keep(result_.plan.waits, are_others_leaving);
    if (!with_waits) result_.plan.waits.clear();
    for (ToldJob& job : before) planner_.set_job(job.job, std::move(job.demand), std::move(job.leases));
    return std::move(result_);
  }

 private:
  /// Who leaves whatever is planned; they are marked as releasing.
  void choose() {
    for (Lease& lease : in_.leases) {
      if (lease.role != Role::worker || lease.releasing || !in_.drained.contains(lease.node)) continue;
      lease.releasing = true;
      result_.departures.push_back({lease.job, lease.worker});
    }
    release_surplus(in_.leases, in_.demands, result_.departures);
    if (in_.over_quota != nullptr)
      result_.over_quota = release_over_quota(in_.leases, in_.demands, *in_.over_quota);
    result_.departures.insert(result_.departures.end(), result_.over_quota.begin(), result_.over_quota.end());
  }

  const Demand* demand_of(std::string_view job) const {
    const auto found = std::ranges::find(in_.demands, job, &Demand::job);
    return found == in_.demands.end() ? nullptr : &*found;
  }

  /// As if they had been told to leave; what it knew of these jobs.
  std::vector<ToldJob> tell_planner() {
    std::map<std::string_view, std::vector<Lease>> leases;
    for (const Release& one : result_.departures) leases[one.job];
    for (const Lease& lease : in_.leases) {
      if (const auto found = leases.find(lease.job); found != leases.end()) found->second.push_back(lease);
    }
    std::vector<ToldJob> before;
    for (auto& [name, held] : leases) {
      const std::string job(name);
      before.push_back(planner_.told(job));
      const Demand* demand = demand_of(name);
      planner_.set_job(job, demand == nullptr ? std::nullopt : std::optional(*demand), std::move(held));
    }
    return before;
  }

  /// Jobs that lose workers and will have fewer than their minimums, and are not preempted.
  std::vector<std::string> broken_gangs() const {
    std::vector<std::string> broken;
    for (const auto& [job, workers] : count_left(result_.departures, in_.leases, result_.plan)) {
      const Demand* demand = demand_of(job);
      const auto& preempted = result_.plan.preemptions;
      if (demand == nullptr || workers >= std::max(demand->workers.min, 1U)) continue;
      if (std::ranges::find(preempted, job, &Preemption::job) == preempted.end()) broken.emplace_back(job);
    }
    return broken;
  }

  void stop_or_keep(std::span<const Wait> waits, bool are_others_leaving) {
    NodeNames staying;
    for (const std::string& job : broken_gangs()) {
      const bool stays = has_room_soon(result_.plan, waits, job, are_others_leaving);
      stays ? void(staying.insert(job)) : result_.stopped.push_back(job);
    }
    for (const Lease& lease : in_.leases) {
      if (lease.role != Role::worker || lease.releasing) continue;
      const bool is_stopped = std::ranges::find(result_.stopped, lease.job) != result_.stopped.end();
      if (is_stopped && !is_released(result_.plan, lease.worker))
        result_.departures.push_back({lease.job, lease.worker});
    }
    std::erase_if(result_.departures, [&](const Release& one) { return staying.contains(one.job); });
  }

  Planner& planner_;
  MayDepart in_;
  PlanWithDepartures result_;
};

}  // namespace

PlanWithDepartures plan_with_departures(Planner& planner, MayDepart may_depart, std::span<const PastUse> past,
                                        std::int64_t now_ms) {
  return Departing(planner, std::move(may_depart)).plan(past, now_ms, false);
}

PlanWithDepartures plan_with_departures(std::span<const NodeView> nodes, std::vector<Lease> leases,
                                        std::span<const Demand> demands, const TenantTree& tenants,
                                        std::span<const PastUse> past, const NodeNames& drained,
                                        std::int64_t now_ms) {
  Planner planner(tenants);
  planner.tell_all(nodes, leases, demands);
  MayDepart all{std::move(leases), {demands.begin(), demands.end()}, drained, &tenants};
  return Departing(planner, std::move(all)).plan(past, now_ms, true);
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
