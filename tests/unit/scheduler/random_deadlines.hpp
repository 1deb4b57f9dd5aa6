#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>

#include "scheduler/policy/planner.hpp"
#include "tests/unit/scheduler/random_future.hpp"

namespace ds::scheduler::testing {

/// As the head does: what is promised to a job that is not submitted yet, which waits from then on if it is
/// taken.
inline std::optional<std::int64_t> promise(ClusterModel& cluster, const std::string& job) {
  Demand& demand = cluster.demand(job);
  demand.has_promise = true;
  Planner planner(cluster.tenants);
  planner.set_nodes(cluster.nodes);
  for (const Demand& one : cluster.demands) {
    std::vector<Lease> leases;
    for (const Lease& lease : cluster.leases) {
      if (lease.job == one.job) leases.push_back(lease);
    }
    planner.set_job(one.job, one, std::move(leases));
  }
  const auto at_ms = planner.promised_start(job, 0, cluster.past, cluster.now_ms);
  demand.starts_by_ms = at_ms.value_or(0);
  return at_ms;
}

/// A future in which now and then a job comes with a deadline, and others that are more urgent, have no limit
/// or cannot be shrunk.
class Deadlines : public Future {
 public:
  using Future::Future;

  /// A gang is young for a while after its start.
  void tell_who_is_young() {
    for (Demand& one : cluster_.demands) {
      const auto since = since_.find(one.job);
      one.is_young = since != since_.end() && cluster_.now_ms < since->second + 12'000;
      one.young_until_ms = one.is_young ? since->second + 12'000 : 0;
    }
  }
  void settle() {
    if (!cluster_.tenants.has_tenants()) {
      tell_who_is_young();
      return Future::settle();
    }
    for (int round = 0; round < 60; ++round) {  // who has just started is young at once
      tell_who_is_young();
      const Plan plan = cluster_.plan();
      if (plan.releases.empty() && plan.placements.empty()) return;
      cluster_.carry_out(plan);
      cluster_.finish_releases();
      note_starts();
    }
    ADD_FAILURE() << "no rest";
  }

  /// Or to when one is young no more, for which the head plans as well.
  bool go_on() {
    if (!cluster_.tenants.has_tenants() || since_.empty()) return Future::go_on();
    std::int64_t next_ms = std::numeric_limits<std::int64_t>::max();
    for (const auto& [job, since] : since_) next_ms = std::min(next_ms, since + left_.at(job));
    const std::int64_t end_ms = next_ms;
    for (const auto& [job, since] : since_) {
      if (since + 12'000 > cluster_.now_ms) next_ms = std::min(next_ms, since + 12'000);
    }
    if (next_ms >= end_ms) return Future::go_on();
    cluster_.now_ms = next_ms;
    return true;
  }

  /// Two or three tenants; `has_only_slots`: each worker has one slot, nothing else is short, and all can be
  /// preempted.
  void share(bool has_only_slots) {
    has_only_slots_ = has_only_slots;
    std::uint64_t slots = 0;
    for (NodeView& node : cluster_.nodes) {
      slots += node.slots;
      if (has_only_slots) node.memory_bytes = 1ULL << 40;
    }
    cluster_.tenants = random_tenants(random_, slots);
    if (has_only_slots) {
      for (QueueSpec& queue : cluster_.tenants.queues) queue.gpu_limit.reset();
    }
  }
  void choose_tenant(Demand& demand) {
    const char* tenants[] = {"a", "b", "c", "c"};
    const char* queues[] = {"default", "default", "x", "y"};
    const auto leaf = below(random_, 4);
    demand.tenant = tenants[leaf];
    demand.queue = queues[leaf];
    if (!has_only_slots_) return;
    demand.preemptible = true;
    demand.slots = 1;
    demand.memory_bytes = demand.gpus = 0;
    demand.placement = PlacementRule::pack;
  }

  void submit_any() {
    const std::size_t before = cluster_.demands.size();
    static constexpr std::uint32_t kPriorities[] = {kLowPriority, kNormalPriority, kHighPriority,
                                                    kCriticalPriority};
    submit(kPriorities[between(random_, 0, 3)]);
    if (cluster_.demands.size() == before) return;
    if (cluster_.tenants.has_tenants()) choose_tenant(cluster_.demands.back());
    if (between(random_, 0, 3) == 0) cluster_.demands.back().lasts_ms = 0;
    if (between(random_, 0, 2) != 0) return;
    const std::string job = cluster_.demands.back().job;
    if (cluster_.demands.back().lasts_ms == 0) return;
    const Demand plain = cluster_.demands.back();
    const bool others_wait = std::ranges::any_of(
        cluster_.demands, [&](const Demand& one) { return one.has_promise && cluster_.live(one.job) == 0; });
    tell_who_is_young();
    if (const auto at_ms = promise(cluster_, job)) {
      promised_.emplace(job, *at_ms);
      waited_ += *at_ms > cluster_.now_ms ? 1 : 0;
      behind_ += *at_ms > cluster_.now_ms && others_wait ? 1 : 0;
      settle();  // as the head does before anybody else comes
    } else {
      cluster_.demands.back() = plain;
      ++refused_;
    }
  }

  /// Owners change their minds, and workers of gangs that go on crash.
  void disturb() {
    if (cluster_.demands.empty()) return;
    Demand& one = cluster_.demands[below(random_, cluster_.demands.size())];
    switch (between(random_, 0, 3)) {
      case 0:
        one.priority = between(random_, 1, 1000);
        break;
      case 1:
        if (!one.has_promise && one.workers.max > one.workers.min) one.workers.max = one.workers.min;
        break;
      case 2:  // as a replica more that load asks for
        if (one.preemptible || one.has_promise || one.lasts_ms > 0 || cluster_.live(one.job) == 0) return;
        one.workers.min = cluster_.live(one.job) + 1;
        one.workers.max = std::max(one.workers.min, one.workers.max);
        one.works_with_fewer = true;
        ++replicas_;
        break;
      default:
        // Not one above the minimum: a promise may count on its giving up the very worker that it loses.
        if (one.has_promise || cluster_.live(one.job) < 2 || cluster_.live(one.job) > one.workers.min) return;
        const auto lease = std::ranges::find(cluster_.leases, one.job, &Lease::job);
        cluster_.lose_worker(lease->worker);
        ++crashes_;
    }
  }

  void check(std::uint64_t seed) const {
    for (const auto& [job, moment] : promised_) {
      const auto started = started_.find(job);
      const std::int64_t at = started == started_.end() ? cluster_.now_ms : started->second;
      ASSERT_LE(at, moment) << "seed " << seed << ": " << job;
    }
  }

  std::map<std::string, std::int64_t> promised_;
  std::size_t waited_ = 0, behind_ = 0, refused_ = 0, crashes_ = 0, replicas_ = 0;
  bool has_only_slots_ = false;
};

/// What came of many such clusters.
struct DeadlinesSeen {
  std::size_t promised = 0, waited = 0, behind = 0, refused = 0, crashes = 0, replicas = 0;

  void add(const Deadlines& future) {
    promised += future.promised_.size();
    waited += future.waited_;
    behind += future.behind_;
    refused += future.refused_;
    crashes += future.crashes_;
    replicas += future.replicas_;
  }
  void expect_enough(std::size_t least_replicas, std::size_t least_behind) const {
    EXPECT_GT(promised, 1500U);
    EXPECT_GT(waited, 250U);
    EXPECT_GE(behind, least_behind) << "another that waits";
    EXPECT_GT(refused, 250U);
    EXPECT_GT(crashes, 150U);
    EXPECT_GT(replicas, least_replicas);
  }
};

}  // namespace ds::scheduler::testing
