// Jobs that were promised a moment to start, in random clusters that are followed to their end.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "tests/unit/scheduler/random_deadlines.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

TEST(DeadlinePromise, IsKeptWhoeverElseComesAndWhateverOwnersChange) {
  DeadlinesSeen seen;
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
    seen.add(future);
  }
  if (seeds.are_chosen()) return;
  seen.expect_enough(50, 100);
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

TEST(DeadlinePromise, OfALaterOneCountsOnWhatTheEarlierLeave) {
  ClusterModel cluster;
  cluster.add_node("n", 4);
  const auto add = [&](const std::string& job, std::uint32_t workers, std::int64_t lasts_ms) {
    cluster.add_job(job, {workers, workers});
    cluster.demand(job).lasts_ms = lasts_ms;
  };
  add("a", 4, 10'000);
  cluster.settle();
  add("b", 3, 20'000);
  EXPECT_EQ(promise(cluster, "b"), 10'000);
  add("beside", 1, 50'000);
  EXPECT_EQ(promise(cluster, "beside"), 10'000);
  add("c", 4, 10'000);
  EXPECT_EQ(promise(cluster, "c"), 60'000) << "beside has ended then";
  add("d", 3, 5'000);
  EXPECT_EQ(promise(cluster, "d"), 70'000) << "never before the one that was promised first";
  cluster.settle();
  cluster.end_job("a");
  cluster.settle();
  EXPECT_EQ(cluster.live("b"), 3U);
  EXPECT_EQ(cluster.live("beside"), 1U);
  cluster.end_job("b");
  cluster.settle();
  EXPECT_EQ(cluster.live("c"), 0U);
  EXPECT_EQ(cluster.live("d"), 3U) << "it ends before c needs that";
  cluster.go_on_until(60'000);
  cluster.settle();
  EXPECT_EQ(cluster.live("c"), 4U);
}

TEST(DeadlinePromise, OfALaterOneCountsTheRoomOnceThatIsBeingMadeForTheEarlier) {
  ClusterModel cluster;
  cluster.add_node("n", 8);
  cluster.add_job("elastic", {1, 8});
  cluster.demand("elastic").lasts_ms = 1'000'000;
  cluster.settle();
  cluster.add_job("early", {4, 4});
  cluster.demand("early").lasts_ms = 100'000;
  cluster.now_ms = 1'000;
  ASSERT_EQ(promise(cluster, "early"), 1'000);
  cluster.carry_out(cluster.plan());
  ASSERT_EQ(cluster.live("elastic"), 4U) << "four are stopping";
  cluster.add_job("late", {5, 5});
  cluster.demand("late").lasts_ms = 100'000;
  EXPECT_EQ(promise(cluster, "late"), 101'000);
}

/// Behind one that needs one node nobody knows which workers leave for that first, so the moment of a later
/// one counts on none. Then who grows beside it must not count on having to give that back.
TEST(DeadlinePromise, OfALaterOneIsNotMovedByGrowthThatItDoesNotCountOnHavingBack) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_node("n2", 5);
  const auto add = [&](const std::string& job, std::uint32_t workers, std::int64_t lasts_ms) {
    cluster.add_job(job, {workers, workers});
    cluster.demand(job).lasts_ms = lasts_ms;
  };
  add("a", 4, 10'000);
  cluster.settle();
  add("b", 2, 10'000);
  add("c", 2, 10'000);
  add("elastic", 1, 0);
  cluster.settle();
  add("early", 4, 20'000);
  cluster.demand("early").placement = PlacementRule::same_node;
  ASSERT_EQ(promise(cluster, "early"), 10'000);
  add("late", 4, 10'000);
  ASSERT_EQ(promise(cluster, "late"), 10'000);
  cluster.end_job("b");
  cluster.now_ms = 5'000;
  cluster.demand("elastic").workers.max = 2;
  cluster.settle();
  add("long", 1, 90'000);
  cluster.settle();
  cluster.go_on_until(10'000);
  cluster.settle();
  EXPECT_EQ(cluster.live("early"), 4U);
  EXPECT_EQ(cluster.live("late"), 4U) << text_of(cluster.plan(), "late");
}

TEST(DeadlinePromise, IsNotGivenBehindOneThatCannotStartJustNow) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_node("n2", 4);
  cluster.add_job("runs", {8, 8});
  cluster.demand("runs").lasts_ms = 100'000;
  cluster.settle();
  cluster.add_job("early", {8, 8});
  cluster.demand("early").lasts_ms = 1'000'000;
  ASSERT_EQ(promise(cluster, "early"), 100'000);
  cluster.nodes[1].available = false;
  cluster.add_job("late", {4, 4});
  cluster.demand("late").lasts_ms = 50'000;
  EXPECT_EQ(promise(cluster, "late"), std::nullopt) << "the node may be opened again";
}

TEST(DeadlinePromise, IsGivenToSoManyThatWaitAndNoMore) {
  ClusterModel cluster;
  cluster.add_node("n", 1);
  for (std::size_t i = 0; i <= kMaxWaitingPromises + 1; ++i) {
    const std::string job = "job" + std::to_string(i);
    cluster.add_job(job, {1, 1});
    cluster.demand(job).lasts_ms = 10'000;
    const auto at_ms = promise(cluster, job);
    if (i > kMaxWaitingPromises) {
      EXPECT_EQ(at_ms, std::nullopt);
      continue;
    }
    EXPECT_EQ(at_ms, static_cast<std::int64_t>(i) * 10'000);
    cluster.settle();
  }
}

TEST(DeadlinePromise, IsNotGivenBehindWhatHasNoLimit) {
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
