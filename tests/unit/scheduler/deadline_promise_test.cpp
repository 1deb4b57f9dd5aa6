// Jobs that were promised a moment to start, in random clusters that are followed to their end.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "scheduler/policy/planner.hpp"
#include "tests/unit/scheduler/random_future.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

/// As the head does: what is promised to a job that is not submitted yet, which waits from then on if it is
/// taken.
std::optional<std::int64_t> promise(ClusterModel& cluster, const std::string& job) {
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
  return planner.promised_start(job, 0, cluster.past, cluster.now_ms);
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

  /// Two or three tenants; `has_only_slots`: each worker has one slot, and nothing else is short.
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
    tell_who_is_young();
    if (const auto at_ms = promise(cluster_, job)) {
      promised_.emplace(job, *at_ms);
      waited_ += *at_ms > cluster_.now_ms ? 1 : 0;
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
  std::size_t waited_ = 0, refused_ = 0, crashes_ = 0, replicas_ = 0;
  bool has_only_slots_ = false;
};

TEST(DeadlinePromise, IsKeptWhoeverElseComesAndWhateverOwnersChange) {
  std::size_t promised = 0, waited = 0, refused = 0, crashes = 0, replicas = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Deadlines future(seed);
    for (int i = 0; i < 6; ++i) future.submit_any();
    int arrivals = 20;
    do {
      future.settle();
      ASSERT_NO_FATAL_FAILURE(future.check(seed));
      if (arrivals-- > 0) future.submit_any();
      if (seed % 2 == 0) future.disturb();
      future.settle();
      ASSERT_NO_FATAL_FAILURE(future.check(seed));
    } while (future.go_on());
    promised += future.promised_.size();
    waited += future.waited_;
    refused += future.refused_;
    crashes += future.crashes_;
    replicas += future.replicas_;
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(promised, 1500U);
  EXPECT_GT(waited, 250U);
  EXPECT_GT(refused, 250U);
  EXPECT_GT(crashes, 150U);
  EXPECT_GT(replicas, 50U);
}

/// At rest, where nothing but slots is short: the first of a queue whose minimum is within what that has left
/// of its guarantee runs, whoever was promised anything. `spared`: those that wait were seen beside a promise.
void expect_guarantees_met(const ClusterModel& cluster, std::size_t& spared) {
  const Plan rest = cluster.plan();
  const bool has_promise = std::ranges::any_of(
      rest.waits, [&](const Wait& wait) { return cluster.demand(wait.job).has_promise; });
  if (!has_promise) return;
  for (const Wait& wait : rest.waits) {
    const Demand& demand = cluster.demand(wait.job);
    const bool is_first = std::ranges::none_of(rest.waits, [&](const Wait& other) {
      const Demand& one = cluster.demand(other.job);
      return one.tenant == demand.tenant && one.queue == demand.queue &&
             std::tuple(one.has_promise, one.priority, demand.order) >
                 std::tuple(demand.has_promise, demand.priority, one.order);
    });
    if (!is_first || demand.has_promise) continue;
    ++spared;
    bool is_within = true;
    for (std::size_t queue = cluster.tenants.find(demand.tenant, demand.queue).value(); queue != 0;
         queue = cluster.tenants[queue].parent) {
      SlotCount used = demand.workers.min;
      for (const Lease& lease : cluster.leases)
        used += cluster.tenants.is_below(cluster.tenants.find(lease.tenant, lease.queue).value(), queue) ? 1 : 0;
      is_within = is_within && used <= cluster.tenants[queue].guaranteed;
    }
    EXPECT_FALSE(is_within) << wait.job << " waits: " << wait.reasons.front().text;
  }
}

/// Of trees of queues, whatever they are guaranteed, lend and borrow.
TEST(DeadlinePromise, IsKeptAmongTenantsWhoeverElseComes) {
  std::size_t promised = 0, waited = 0, refused = 0, crashes = 0, replicas = 0, spared = 0;
  const Seeds seeds(3000);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Deadlines future(seed);
    future.share(seed % 2 == 0);
    for (int i = 0; i < 6; ++i) future.submit_any();
    int arrivals = 20;
    do {
      future.settle();
      ASSERT_NO_FATAL_FAILURE(future.check(seed));
      if (arrivals-- > 0) future.submit_any();
      if (seed % 3 == 0) future.disturb();
      future.settle();
      ASSERT_NO_FATAL_FAILURE(future.check(seed));
      if (seed % 2 == 0 && future.replicas_ + future.crashes_ == 0)
        expect_guarantees_met(future.cluster_, spared);
    } while (future.go_on());
    promised += future.promised_.size();
    waited += future.waited_;
    refused += future.refused_;
    crashes += future.crashes_;
    replicas += future.replicas_;
  }
  if (seeds.are_chosen()) return;
  std::printf("promised %zu waited %zu refused %zu crashes %zu replicas %zu spared %zu\n", promised, waited, refused, crashes, replicas, spared);
}

/// So whoever asked for less could not have been told yes.
TEST(DeadlinePromise, IsAlmostAlwaysTheVeryMomentWhenAllThatRunNeedAllTheirTime) {
  std::size_t waited = 0, earlier = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Deadlines future(seed);
    for (int i = 0; i < 8; ++i) {
      const std::size_t before = future.cluster_.demands.size();
      future.submit(kNormalPriority);
      if (future.cluster_.demands.size() == before) continue;
      const Demand& demand = future.cluster_.demands.back();
      future.left_[demand.job] = demand.lasts_ms;
    }
    future.settle();
    const std::size_t before = future.cluster_.demands.size();
    future.submit(kNormalPriority);
    if (future.cluster_.demands.size() == before) continue;
    const std::string job = future.cluster_.demands.back().job;
    const auto moment = promise(future.cluster_, job);
    if (!moment) continue;
    do {
      future.settle();
    } while (!future.started_.contains(job) && future.go_on());
    ASSERT_TRUE(future.started_.contains(job)) << "seed " << seed;
    ASSERT_LE(future.started_.at(job), *moment) << "seed " << seed;
    waited += *moment > 0 ? 1 : 0;
    earlier += future.started_.at(job) < *moment ? 1 : 0;
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(waited, 500U);
  EXPECT_LT(earlier, waited / 100) << "by workers that elastic jobs have given elsewhere meanwhile";
}

TEST(DeadlinePromise, IsNotGivenTwiceToThoseThatWaitNorAmongTenantsNorBehindWhatHasNoLimit) {
  ClusterModel cluster;
  cluster.add_node("n", 2);
  cluster.add_job("a", {2, 2});
  cluster.demand("a").lasts_ms = 10'000;
  cluster.settle();
  cluster.add_job("b", {2, 2});
  cluster.demand("b").lasts_ms = 10'000;
  EXPECT_EQ(promise(cluster, "b"), 10'000);
  cluster.add_job("c", {1, 1});
  cluster.demand("c").lasts_ms = 10'000;
  EXPECT_EQ(promise(cluster, "c"), std::nullopt) << "b is before it";

  ClusterModel endless;
  endless.add_node("n", 2);
  endless.add_job("a", {2, 2});
  endless.settle();
  endless.add_job("b", {1, 1});
  EXPECT_EQ(promise(endless, "b"), std::nullopt);
}

TEST(DeadlinePromise, TakesWorkersAboveTheMinimumOfMoreUrgentJobsAndIsNotTakenFrom) {
  ClusterModel cluster;
  cluster.add_node("n", 4);
  cluster.add_job("urgent", {1, 4});
  cluster.demand("urgent").priority = kCriticalPriority;
  cluster.settle();
  ASSERT_EQ(cluster.live("urgent"), 4U);
  cluster.add_job("late", {2, 2});
  cluster.demand("late").priority = kLowPriority;
  EXPECT_EQ(promise(cluster, "late"), 0) << "its workers leave at once here";
  cluster.settle();
  EXPECT_EQ(cluster.live("late"), 2U);
  cluster.add_job("more", {3, 3});
  cluster.demand("more").priority = kCriticalPriority;
  cluster.settle();
  EXPECT_EQ(cluster.live("late"), 2U);
  EXPECT_EQ(cluster.live("more"), 0U);
}

TEST(DeadlinePromise, KeepsItsMinimumAloneFromMoreUrgentJobs) {
  ClusterModel cluster;
  cluster.add_node("n", 4);
  cluster.add_job("late", {1, 4});
  cluster.demand("late").priority = kLowPriority;
  cluster.demand("late").lasts_ms = 10'000;
  ASSERT_EQ(promise(cluster, "late"), 0);
  cluster.settle();
  ASSERT_EQ(cluster.live("late"), 4U);
  cluster.add_job("urgent", {3, 3});
  cluster.demand("urgent").priority = kCriticalPriority;
  cluster.settle();
  EXPECT_EQ(cluster.live("urgent"), 3U);
  EXPECT_EQ(cluster.live("late"), 1U);
}

TEST(DeadlinePromise, IsNotGivenWhileAMoreUrgentJobWaits) {
  ClusterModel cluster;
  cluster.add_node("n", 4);
  cluster.add_job("runs", {2, 2});
  cluster.demand("runs").lasts_ms = 10'000;
  cluster.demand("runs").priority = kCriticalPriority;
  cluster.settle();
  cluster.add_job("urgent", {3, 3});
  cluster.demand("urgent").priority = kHighPriority;
  cluster.add_job("late", {1, 1});
  cluster.demand("late").lasts_ms = 10'000;
  EXPECT_EQ(promise(cluster, "late"), std::nullopt);
  cluster.demand("late").priority = kHighPriority;
  EXPECT_EQ(promise(cluster, "late"), 0);
}

TEST(DeadlinePromise, TakesNothingBeforeItsMomentOfAMoreUrgentGangThatHasLostAWorker) {
  ClusterModel cluster;
  cluster.add_node("n", 12);
  cluster.add_job("fixed", {4, 4});
  cluster.demand("fixed").preemptible = false;
  cluster.demand("fixed").lasts_ms = 10'000;
  cluster.add_job("critical", {8, 8});
  cluster.demand("critical").priority = kCriticalPriority;
  cluster.settle();
  cluster.add_job("late", {4, 4});
  cluster.demand("late").priority = kLowPriority;
  cluster.demand("late").lasts_ms = 10'000;
  ASSERT_EQ(promise(cluster, "late"), 10'000);
  cluster.lose_worker(std::ranges::find(cluster.leases, "critical", &Lease::job)->worker);
  cluster.demand("critical").held = true;
  cluster.settle();
  EXPECT_EQ(cluster.live("critical"), 7U);
  cluster.demand("critical").held = false;
  cluster.settle();
  EXPECT_EQ(cluster.live("critical"), 8U);
  cluster.go_on_until(10'000);
  cluster.settle();
  EXPECT_EQ(cluster.live("late"), 4U);
}

/// A replica that a serve job wants more is such a gang that lacks a worker.
TEST(DeadlinePromise, KeepsStartedGangsThatLackWorkersFromWhatIsPromised) {
  for (const bool is_promised : {false, true}) {
    ClusterModel cluster;
    cluster.add_node("n", 3);
    cluster.add_job("replicas", {1, 1});
    cluster.demand("replicas").preemptible = false;
    cluster.add_job("short", {1, 1});
    cluster.demand("short").lasts_ms = 10'000;
    cluster.demand("short").preemptible = false;
    cluster.settle();
    cluster.add_job("late", {2, 2});
    cluster.demand("late").lasts_ms = 10'000;
    if (is_promised) {
      EXPECT_EQ(promise(cluster, "late"), 10'000);
    }
    cluster.demand("replicas").workers = {2, 2};
    cluster.demand("replicas").works_with_fewer = true;
    cluster.settle();
    EXPECT_EQ(cluster.live("replicas"), is_promised ? 1U : 2U);
    cluster.go_on_until(10'000);
    cluster.settle();
    EXPECT_EQ(cluster.live("late"), is_promised ? 2U : 0U);
  }
}

TEST(DeadlinePromise, TakesNothingFromAnybodyForAGangThatItKeepsBack) {
  ClusterModel cluster;
  cluster.add_node("n", 5);
  cluster.add_job("replicas", {1, 1});
  cluster.demand("replicas").preemptible = false;
  cluster.add_job("short", {1, 1});
  cluster.demand("short").lasts_ms = 10'000;
  cluster.demand("short").preemptible = false;
  cluster.add_job("elastic", {1, 2});
  cluster.settle();
  cluster.add_job("late", {3, 3});
  cluster.demand("late").lasts_ms = 10'000;
  ASSERT_EQ(promise(cluster, "late"), 10'000);
  cluster.demand("replicas").workers = {3, 3};
  cluster.demand("replicas").works_with_fewer = true;
  cluster.settle();
  EXPECT_EQ(cluster.live("replicas"), 1U);
  EXPECT_EQ(cluster.live("elastic"), 2U);
}

/// Nobody knows its moment then: it waits until one is old enough to be preempted.
TEST(DeadlinePromise, KeepsUrgentJobsThatCannotBeShrunkFromGrowingWhileAYoungOneIsInTheWay) {
  ClusterModel cluster;
  cluster.add_node("n", 4);
  cluster.add_job("urgent", {1, 1});
  cluster.demand("urgent").priority = kCriticalPriority;
  cluster.demand("urgent").preemptible = false;
  cluster.add_job("short", {1, 1});
  cluster.demand("short").lasts_ms = 10'000;
  cluster.demand("short").preemptible = false;
  cluster.settle();
  cluster.add_job("late", {3, 3});
  cluster.demand("late").lasts_ms = 10'000;
  ASSERT_EQ(promise(cluster, "late"), 10'000);
  cluster.add_job("brief", {1, 1});
  cluster.demand("brief").lasts_ms = 9'000;
  cluster.demand("brief").priority = kLowPriority;
  cluster.settle();
  ASSERT_EQ(cluster.live("brief"), 1U);
  cluster.demand("brief").is_young = true;
  cluster.end_job("short");
  cluster.demand("urgent").workers.max = 3;
  cluster.settle();
  EXPECT_EQ(cluster.live("urgent"), 1U);
  cluster.go_on_until(9'000);
  cluster.settle();
  EXPECT_EQ(cluster.live("late"), 3U);
}

}  // namespace
}  // namespace ds::scheduler
