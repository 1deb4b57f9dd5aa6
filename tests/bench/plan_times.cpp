// How long a plan takes on a full cluster with a long queue: from nothing, and after one event.
//
//     bench_plan_times GPUS JOBS SECONDS
//
// prints one JSON object, times in milliseconds. Eight tenants; gangs of 1 to 8 workers of one GPU, half of
// them elastic, whose workers can go to other nodes, a tenth urgent. Events, in turn: a running job ends, a
// job is submitted. An event's time is telling the planner of it, the plan, and telling it what the plan led
// to. A what-if is what is said of a job that nobody has submitted: what the plan would do with it, and
// between which moments it starts.
//
// Events of nodes, likewise: one is lost with all that ran there; it is back; another is drained, and those
// that must leave it are told to, then they are gone (both count as `node_drained`), and it is opened again,
// which counts as being back.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/departures.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/trial_job.hpp"

namespace {

using namespace ds::scheduler;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kGpusPerNode = 8, kTenants = 8;
constexpr std::uint64_t kMemoryBytes = std::uint64_t{4} << 30;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto index = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  return values[index];
}

class Cluster {
 public:
  explicit Cluster(std::uint32_t gpus) {
    for (std::uint32_t i = 0; i < gpus / kGpusPerNode; ++i)
      nodes_.push_back({"node-" + std::to_string(i), kGpusPerNode, kGpusPerNode * kMemoryBytes * 2, true});
    tenants_.queues[0].is_leaf = false;
    for (std::uint32_t i = 0; i < kTenants; ++i) {
      QueueSpec queue{.name = name_of(i), .depth = 1, .guaranteed = gpus / kTenants};
      queue.weight = 1 + i % 3;
      tenants_.queues.push_back(queue);
    }
  }

  /// Submitted by nobody.
  Demand draft() {
    const std::string job = submit();
    Demand demand = jobs_.at(job).demand;
    jobs_.erase(job);
    return demand;
  }

  std::string submit() {
    Demand demand;
    demand.order = ++submitted_;
    demand.job = "job-" + std::to_string(submitted_);
    demand.workers.min = 1U << random_() % 4;
    demand.workers.max = demand.workers.min * (1 + random_() % 2);
    demand.memory_bytes = kMemoryBytes;
    demand.can_relocate = demand.workers.max > demand.workers.min;
    demand.priority = random_() % 10 == 0 ? kHighPriority : kNormalPriority;
    demand.tenant = name_of(random_() % kTenants);
    const std::string job = demand.job;
    jobs_[job].demand = std::move(demand);
    return job;
  }

  std::optional<std::string> end_running_job() {
    const auto runs = [](const auto& job) { return !job.second.leases.empty(); };
    auto found = jobs_.lower_bound("job-" + std::to_string(1 + random_() % submitted_));
    found = std::find_if(found, jobs_.end(), runs);
    if (found == jobs_.end()) found = std::find_if(jobs_.begin(), jobs_.end(), runs);
    if (found == jobs_.end()) return std::nullopt;
    const std::string job = found->first;
    jobs_.erase(found);
    return job;
  }

  /// The jobs that changed.
  std::set<std::string> carry_out(const Plan& plan) {
    std::set<std::string> changed;
    for (const Release& release : plan.releases) {
      std::erase_if(jobs_.at(release.job).leases,
                    [&](const Lease& lease) { return lease.worker == release.worker; });
      changed.insert(release.job);
    }
    for (const Placement& placement : plan.placements) {
      Job& job = jobs_.at(placement.job);
      for (std::uint32_t i = 0; i < placement.count; ++i) {
        job.leases.push_back({.worker = ++workers_,
                              .job = placement.job,
                              .node = placement.node,
                              .memory_bytes = kMemoryBytes,
                              .tenant = job.demand.tenant});
      }
      changed.insert(placement.job);
    }
    return changed;
  }

  void tell(Planner& planner, const std::string& job) const {
    const auto found = jobs_.find(job);
    found == jobs_.end() ? planner.set_job(job, std::nullopt, {})
                         : planner.set_job(job, found->second.demand, found->second.leases);
  }
  void tell_all(Planner& planner) const {
    planner.set_nodes(nodes_);
    for (const auto& [id, job] : jobs_) planner.set_job(id, job.demand, job.leases);
  }
  const TenantTree& tenants() const { return tenants_; }

  std::size_t some_node() { return random_() % nodes_.size(); }
  /// Whether it takes workers; what is told of it then.
  NodeView set_open(std::size_t node, bool is_open) {
    nodes_[node].available = is_open;
    return nodes_[node];
  }
  std::set<std::string> jobs_on(const std::string& node) const {
    std::set<std::string> found;
    for (const auto& [id, job] : jobs_) {
      if (std::ranges::find(job.leases, node, &Lease::node) != job.leases.end()) found.insert(id);
    }
    return found;
  }
  void end_workers(const std::set<std::string>& jobs, const std::string& node) {
    for (const std::string& job : jobs)
      std::erase_if(jobs_.at(job).leases, [&](const Lease& lease) { return lease.node == node; });
  }
  /// They are told to leave; whose they are.
  std::set<std::string> release(const std::vector<Release>& departures) {
    std::set<std::string> changed;
    for (const Release& one : departures) {
      auto& leases = jobs_.at(one.job).leases;
      std::ranges::find(leases, one.worker, &Lease::worker)->releasing = true;
      changed.insert(one.job);
    }
    return changed;
  }
  void finish_releases(const std::set<std::string>& jobs) {
    for (const std::string& job : jobs)
      std::erase_if(jobs_.at(job).leases, [](const Lease& lease) { return lease.releasing; });
  }
  MayDepart may_depart(const std::set<std::string>& jobs, const std::string& node) const {
    MayDepart found{.leases = {}, .demands = {}, .drained = {node}};
    for (const std::string& id : jobs) {
      const Job& job = jobs_.at(id);
      found.leases.insert(found.leases.end(), job.leases.begin(), job.leases.end());
      found.demands.push_back(job.demand);
    }
    return found;
  }

 private:
  struct Job {
    Demand demand;
    std::vector<Lease> leases;
  };
  static std::string name_of(std::uint32_t tenant) { return "tenant-" + std::to_string(tenant); }

  std::vector<NodeView> nodes_;
  TenantTree tenants_;
  std::map<std::string, Job> jobs_;
  std::uint64_t submitted_ = 0, workers_ = 0;
  std::mt19937 random_{1};
};

/// Tells the planner of an event, plans, and tells it what that led to; how long all of it takes.
template <class Tell>
double time_event(Cluster& cluster, Planner& planner, Tell tell) {
  const auto begin = Clock::now();
  tell();
  const Plan plan = planner.plan();
  const double time = milliseconds_since(begin);
  const auto changed = cluster.carry_out(plan);
  const auto rest = Clock::now();
  for (const std::string& one : changed) cluster.tell(planner, one);
  return time + milliseconds_since(rest);
}

struct NodeTimes {
  std::vector<double> lost, back, drained;
};

void lose_a_node(Cluster& cluster, Planner& planner, NodeTimes& times) {
  const std::size_t node = cluster.some_node();
  const NodeView away = cluster.set_open(node, false);
  const auto jobs = cluster.jobs_on(away.id);
  cluster.end_workers(jobs, away.id);
  times.lost.push_back(time_event(cluster, planner, [&] {
    planner.change_nodes({away});
    for (const std::string& job : jobs) cluster.tell(planner, job);
  }));
  times.back.push_back(
      time_event(cluster, planner, [&] { planner.change_nodes({cluster.set_open(node, true)}); }));
}

void drain_a_node(Cluster& cluster, Planner& planner, NodeTimes& times) {
  const std::size_t node = cluster.some_node();
  const NodeView closed = cluster.set_open(node, false);
  for (int round = 0; round < 4; ++round) {  // a gang may stay until there is room elsewhere
    const auto jobs = cluster.jobs_on(closed.id);
    if (jobs.empty()) break;
    const auto begin = Clock::now();
    planner.change_nodes({closed});
    const auto planned = plan_with_departures(planner, cluster.may_depart(jobs, closed.id), {}, 0);
    const double time = milliseconds_since(begin);
    const auto leaving = cluster.release(planned.departures);
    auto changed = cluster.carry_out(planned.plan);
    changed.insert(leaving.begin(), leaving.end());
    const auto rest = Clock::now();
    for (const std::string& job : changed) cluster.tell(planner, job);
    times.drained.push_back(time + milliseconds_since(rest));
    cluster.finish_releases(leaving);
    times.drained.push_back(time_event(cluster, planner, [&] {
      for (const std::string& job : leaving) cluster.tell(planner, job);
    }));
  }
  times.back.push_back(
      time_event(cluster, planner, [&] { planner.change_nodes({cluster.set_open(node, true)}); }));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: bench_plan_times GPUS JOBS SECONDS\n");
    return 2;
  }
  Cluster cluster(static_cast<std::uint32_t>(std::stoul(argv[1])));
  const auto jobs = std::stoul(argv[2]);
  const std::chrono::duration<double> limit(std::stod(argv[3]));
  for (std::size_t i = 0; i < jobs; ++i) cluster.submit();
  std::vector<double> plans, events;
  for (const auto start = Clock::now(); plans.size() < 5 || Clock::now() - start < limit;) {
    const auto begin = Clock::now();
    Planner fresh(cluster.tenants());
    cluster.tell_all(fresh);
    const Plan plan = fresh.plan();
    plans.push_back(milliseconds_since(begin));
    cluster.carry_out(plan);
    if (cluster.end_running_job()) cluster.submit();
  }
  Planner planner(cluster.tenants());
  cluster.tell_all(planner);
  for (const auto start = Clock::now(); events.size() < 200 || Clock::now() - start < limit;) {
    const auto job = events.size() % 2 == 0 ? cluster.end_running_job() : cluster.submit();
    if (!job) break;
    events.push_back(time_event(cluster, planner, [&] { cluster.tell(planner, *job); }));
  }
  std::vector<double> drafts;
  for (const auto start = Clock::now(); drafts.size() < 100 || Clock::now() - start < limit;) {
    Demand draft = cluster.draft();
    const std::string job = draft.job;
    const auto begin = Clock::now();
    TrialJob trial(planner, std::move(draft));
    trial.what_if({}, 0);
    planner.forecast(job, {}, {}, 0);
    drafts.push_back(milliseconds_since(begin));
  }
  NodeTimes nodes;
  for (const auto start = Clock::now(); nodes.lost.size() < 100 || Clock::now() - start < limit;) {
    lose_a_node(cluster, planner, nodes);
    drain_a_node(cluster, planner, nodes);
  }
  fmt::print(
      "{{\"plan_p50\": {:.4f}, \"plan_p99\": {:.4f}, \"event_p50\": {:.4f}, \"event_p99\": {:.4f}, "
      "\"events\": {}, \"what_if_p50\": {:.4f}, \"what_if_p99\": {:.4f}, \"node_lost_p50\": {:.4f}, "
      "\"node_lost_p99\": {:.4f}, \"node_back_p50\": {:.4f}, \"node_back_p99\": {:.4f}, "
      "\"node_drained_p50\": {:.4f}, \"node_drained_p99\": {:.4f}}}\n",
      percentile(plans, 0.5), percentile(plans, 0.99), percentile(events, 0.5), percentile(events, 0.99),
      events.size(), percentile(drafts, 0.5), percentile(drafts, 0.99), percentile(nodes.lost, 0.5),
      percentile(nodes.lost, 0.99), percentile(nodes.back, 0.5), percentile(nodes.back, 0.99),
      percentile(nodes.drained, 0.5), percentile(nodes.drained, 0.99));
  return 0;
}
