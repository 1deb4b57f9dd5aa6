#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/spec/priority.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler {
namespace {

using testing::ClusterModel;
using testing::codes_of;
using Codes = std::vector<std::string>;

Reason reason_of(const Plan& plan, const std::string& job, const std::string& code) {
  for (const Wait& wait : plan.waits) {
    for (const Reason& reason : wait.reasons) {
      if (wait.job == job && reason.code == code) return reason;
    }
  }
  ADD_FAILURE() << job << " does not wait for " << code;
  return {};
}

TEST(FirstComeFirstServed, PlansNothingForNothing) {
  EXPECT_EQ(ClusterModel{}.plan(), Plan{});
}

TEST(FirstComeFirstServed, StartsAJobAndGrowsItToItsMaximum) {
  ClusterModel cluster;
  cluster.add_node("n1", 8);
  cluster.add_job("a", {1, 4});
  EXPECT_EQ(cluster.plan(), (Plan{{}, {{"a", "n1", 4}}, {}, {}, {{"a", 1, 4, 4.0}}}));
}

TEST(FirstComeFirstServed, GivesTheMinimumToAllBeforeAnyGrows) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("a", {1, 4});
  cluster.add_job("b", {2, 2});
  cluster.settle();
  EXPECT_EQ(cluster.live("a"), 2U);
  EXPECT_EQ(cluster.live("b"), 2U);
}

TEST(FirstComeFirstServed, GrowsTheJobWithTheFewestWorkersFirst) {
  ClusterModel cluster;
  cluster.add_node("n1", 7);
  cluster.add_job("a", {3, 8});
  cluster.add_job("b", {1, 8});
  cluster.settle();
  EXPECT_EQ(cluster.live("a"), 4U);
  EXPECT_EQ(cluster.live("b"), 3U);
}

TEST(FirstComeFirstServed, GivesAGangAllOfItsMinimumOrNothing) {
  ClusterModel cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 2);
  cluster.add_job("small", {1, 1});
  cluster.add_job("gang", {4, 4});
  const Plan plan = cluster.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"small", "n1", 1}}));
  const Reason reason = reason_of(plan, "gang", "no_capacity_now");
  EXPECT_EQ(reason.text, "needs 4 workers of 1 slot each at once, and 3 fit now: 3 of 4 slots are free");
  EXPECT_EQ(reason.blocking, std::vector<std::string>{"small"});
}

TEST(FirstComeFirstServed, LeavesThoseAloneThatAreOfUseWithFewerThanTheirMinimum) {
  ClusterModel cluster;
  cluster.add_node("n1", 1);
  cluster.add_job("served", {1, 1});
  cluster.settle();
  cluster.demands.front().workers = {2, 2};  // the next replica, for which there is no room
  cluster.demands.front().preemptible = false;
  cluster.add_job("other", {1, 1});
  EXPECT_EQ(cluster.plan().releases.size(), 1U) << "a gang is of no use";
  cluster.demands.front().works_with_fewer = true;
  EXPECT_TRUE(cluster.plan().releases.empty());
}

/// One leaves, and another is wanted at once, as load goes up and down.
TEST(FirstComeFirstServed, KeepsReplicasMoreThanMustBeFromTakingWhatAGangWaitsFor) {
  ClusterModel cluster;
  cluster.add_node("n1", 8);
  cluster.add_job("served", {1, 1});
  Demand& served = cluster.demands.front();
  served.works_with_fewer = true;
  served.preemptible = false;
  for (int replica = 0; replica < 7; ++replica) cluster.start_worker("served", "n1");
  served.workers = {8, 8};
  cluster.add_job("gang", {4, 4});
  cluster.demand("gang").priority = kCriticalPriority;
  EXPECT_EQ(cluster.plan().placements.size(), 1U) << "what it must have it gets back";
  cluster.demand("served").is_extra = true;
  const Plan plan = cluster.plan();
  EXPECT_TRUE(plan.placements.empty());
  EXPECT_EQ(reason_of(plan, "served", "priority_behind").blocking, Codes{"gang"});
  for (std::uint64_t worker = 1; worker <= 3; ++worker) cluster.lose_worker(worker);
  cluster.demand("served").workers = {5, 5};
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"gang", "n1", 4}}));
}

TEST(FirstComeFirstServed, LetsReplicasComeBesideWhatAGangIsPromised) {
  ClusterModel cluster;
  cluster.add_node("n1", 8);
  cluster.add_job("served", {1, 1});
  cluster.demands.front().works_with_fewer = true;
  cluster.demands.front().is_extra = true;
  cluster.start_worker("served", "n1");
  cluster.add_job("running", {4, 4});
  cluster.demand("running").lasts_ms = 60'000;
  cluster.demand("running").preemptible = false;
  cluster.settle();
  cluster.demand("served").workers = {2, 2};
  cluster.add_job("gang", {6, 6});
  cluster.demand("gang").priority = kCriticalPriority;
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"served", "n1", 1}})) << "six are left then";
  cluster.demand("gang").workers = {7, 7};
  EXPECT_TRUE(cluster.plan().placements.empty());
}

TEST(FirstComeFirstServed, KeepsLaterJobsFromStartingBeforeAWaitingGang) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("running", {2, 2});
  cluster.settle();
  cluster.add_job("gang", {4, 4});
  cluster.add_job("small", {1, 1});
  const Plan plan = cluster.plan();
  EXPECT_TRUE(plan.placements.empty());
  EXPECT_EQ(codes_of(plan, "small"), (Codes{"priority_behind", "no_capacity_now"}));
  const Reason reason = reason_of(plan, "small", "priority_behind");
  EXPECT_EQ(
      reason.text,
      "needs 1 worker of 1 slot, and 1 job submitted earlier must start first; it would fit now, but jobs "
      "without a time_limit run, so that nobody knows when gang needs the room");
  EXPECT_EQ(reason.blocking, std::vector<std::string>{"gang"});
  const Reason first = reason_of(plan, "small", "no_capacity_now");
  EXPECT_EQ(first.text,
            "gang, which comes first, needs 4 workers of 1 slot each at once, and 2 fit now: 2 of 4 slots "
            "are free");
  EXPECT_EQ(first.blocking, std::vector<std::string>{"running"});
}

TEST(FirstComeFirstServed, PassesOverAJobThatCanNeverFit) {
  ClusterModel cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 3);
  cluster.add_job("huge", {2, 2}, 3);
  cluster.add_job("small", {1, 1});
  const Plan plan = cluster.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"small", "n1", 1}}));
  EXPECT_EQ(codes_of(plan, "huge"), Codes{"never_fits"});
  EXPECT_EQ(reason_of(plan, "huge", "never_fits").text,
            "needs 2 workers of 3 slots each at once, and 2 available nodes with 5 slots have room for 1 "
            "even when empty");
}

TEST(FirstComeFirstServed, SaysWhenMemoryIsWhatNeverFits) {
  ClusterModel cluster;
  cluster.add_node("n1", 8, 4ULL << 30);
  cluster.add_job("hungry", {1, 1}, 1, 8ULL << 30);
  const Plan plan = cluster.plan();
  EXPECT_EQ(codes_of(plan, "hungry"), (Codes{"never_fits", "memory"}));
  EXPECT_EQ(reason_of(plan, "hungry", "memory").text,
            "each worker needs 8Gi of memory, which leaves room for 0 where there are slots for 8");
}

TEST(FirstComeFirstServed, SaysWhenMemoryIsWhatIsTakenNow) {
  ClusterModel cluster;
  cluster.add_node("n1", 8, 4ULL << 30);
  cluster.add_job("a", {1, 1}, 1, 3ULL << 30);
  cluster.settle();
  cluster.add_job("b", {1, 1}, 1, 2ULL << 30);
  EXPECT_EQ(codes_of(cluster.plan(), "b"), (Codes{"no_capacity_now", "memory"}));
}

TEST(FirstComeFirstServed, PlacesNothingOnADrainingNodeAndSaysSo) {
  ClusterModel cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 2);
  cluster.node("n2").available = false;
  cluster.node("n2").is_closed = true;
  cluster.add_job("gang", {3, 3});
  cluster.add_job("small", {2, 2});
  const Plan plan = cluster.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"small", "n1", 2}}));
  EXPECT_EQ(codes_of(plan, "gang"), Codes{"drain"});
  EXPECT_EQ(
      reason_of(plan, "gang", "drain").text,
      "needs 3 workers of 1 slot each at once; with 1 node down or closed there is room for 2, with all "
      "nodes for 4; n2 is closed (ds-submit undrain NODE opens it)");
  EXPECT_EQ(reason_of(plan, "gang", "drain").nodes, std::vector<std::string>{"n2"});
}

TEST(FirstComeFirstServed, NamesTheNodesThatAreMissingThoseWithTheMostRoomFirst) {
  ClusterModel cluster;
  cluster.add_node("open", 2);
  const auto add_missing = [&](const std::string& id, std::uint32_t slots, bool is_closed) {
    cluster.add_node(id, slots);
    cluster.nodes.back().available = false;
    cluster.nodes.back().is_closed = is_closed;
  };
  add_missing("small", 1, true);
  add_missing("closed", 4, true);
  add_missing("large", 8, true);
  add_missing("lost", 4, false);
  cluster.add_job("gang", {3, 3}, 2);
  const Reason reason = reason_of(cluster.plan(), "gang", "drain");
  EXPECT_EQ(reason.nodes, (std::vector<std::string>{"large", "closed", "lost"})) << "one has no room at all";
  EXPECT_EQ(reason.unnamed_nodes, 0U);
  EXPECT_NE(reason.text.find("; large, closed are closed (ds-submit undrain NODE opens one); lost is down"),
            std::string::npos)
      << reason.text;
  cluster.demand("gang").placement = PlacementRule::same_node;
  EXPECT_EQ(reason_of(cluster.plan(), "gang", "drain").nodes, std::vector<std::string>{"large"})
      << "on no other is room for all three";

  cluster.demand("gang").placement = PlacementRule::pack;
  for (int i = 0; i < 30; ++i) add_missing("more" + std::to_string(i), 2, true);
  const Reason cut = reason_of(cluster.plan(), "gang", "drain");
  EXPECT_EQ(cut.nodes.size(), 20U);
  EXPECT_EQ(cut.nodes.front(), "large");
  EXPECT_EQ(cut.unnamed_nodes, 13U);
  EXPECT_NE(cut.text.find("; 20 of the 33 nodes with room for it are named"), std::string::npos) << cut.text;
}

TEST(FirstComeFirstServed, LeavesAHeldJobAloneAndStartsThoseBehindIt) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("crashed", {1, 4});
  cluster.add_job("next", {1, 1});
  cluster.demand("crashed").held = true;
  const Plan plan = cluster.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"next", "n1", 1}}));
  EXPECT_EQ(codes_of(plan, "crashed"), Codes{"backoff_restart"});
}

TEST(FirstComeFirstServed, TakesNoMoreThanNeededFromTheLargestJobNewestWorkerFirst) {
  ClusterModel cluster;
  cluster.add_node("n1", 8);
  cluster.add_job("large", {1, 5});
  cluster.add_job("other", {1, 3});
  cluster.settle();
  ASSERT_EQ(cluster.live("large"), 5U);
  std::uint64_t newest = 0;
  for (const Lease& lease : cluster.leases) {
    if (lease.job == "large") newest = std::max(newest, lease.worker);
  }
  cluster.add_job("late", {1, 1});
  const Plan plan = cluster.plan();
  EXPECT_EQ(plan.releases, (std::vector<Release>{{"large", newest}}));
  EXPECT_TRUE(plan.placements.empty());
  EXPECT_EQ(reason_of(plan, "late", "no_capacity_now").text,
            "needs 1 worker of 1 slot at once, and 0 fit now: 0 of 8 slots are free; it starts when 1 worker "
            "that is "
            "stopping is gone");
}

TEST(FirstComeFirstServed, TakesFromTheYoungerOfTwoEquallyLargeJobs) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("older", {1, 2});
  cluster.add_job("younger", {1, 2});
  cluster.settle();
  cluster.add_job("late", {1, 1});
  const Plan plan = cluster.plan();
  ASSERT_EQ(plan.releases.size(), 1U);
  EXPECT_EQ(plan.releases[0].job, "younger");
}

TEST(FirstComeFirstServed, AsksOnlyOnceForTheRoomOfAWaitingJob) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("elastic", {1, 4});
  cluster.settle();
  cluster.add_job("late", {2, 2});
  cluster.carry_out(cluster.plan());
  const Plan meanwhile = cluster.plan();
  EXPECT_TRUE(meanwhile.releases.empty());
  EXPECT_TRUE(meanwhile.placements.empty()) << "what is being freed belongs to the job that waits";
  cluster.finish_releases();
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"late", "n1", 2}}));
}

TEST(FirstComeFirstServed, ShrinksNobodyWhenThatWouldNotBeEnough) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("fixed", {2, 2});
  cluster.add_job("elastic", {1, 2});
  cluster.settle();
  cluster.add_job("gang", {4, 4});
  EXPECT_TRUE(cluster.plan().releases.empty());
}

TEST(FirstComeFirstServed, ReleasesOnlyWorkersWhoseNodeCanServeTheWaitingJob) {
  ClusterModel cluster;
  cluster.add_node("small", 1);
  cluster.add_node("wide", 4);
  cluster.add_job("elastic", {1, 5});
  cluster.settle();
  ASSERT_EQ(cluster.live_on("elastic", "small"), 1U);
  cluster.add_job("late", {1, 1}, 3);
  const Plan plan = cluster.plan();
  EXPECT_EQ(plan.releases.size(), 3U);
  cluster.carry_out(plan);
  EXPECT_EQ(cluster.live_on("elastic", "small"), 1U);
}

TEST(FirstComeFirstServed, GrowsIntoSlotsThatAreTooFewForTheWaitingGang) {
  ClusterModel cluster;
  cluster.add_node("n1", 6);
  cluster.add_job("fixed", {3, 3});
  cluster.add_job("elastic", {1, 2});
  cluster.settle();
  cluster.add_job("gang", {4, 4});
  cluster.demand("elastic").workers.max = 6;
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"elastic", "n1", 1}}));
}

TEST(FirstComeFirstServed, RefillsAGangAfterALossBeforeOthersGrow) {
  ClusterModel cluster;
  cluster.add_node("n1", 3);
  cluster.add_node("n2", 3);
  cluster.add_job("elastic", {1, 6});
  cluster.add_job("gang", {3, 3});
  cluster.settle();
  ASSERT_EQ(cluster.live("gang"), 3U);
  for (const Lease& lease : cluster.leases) {
    if (lease.job == "gang") {
      cluster.lose_worker(lease.worker);
      break;
    }
  }
  const Plan plan = cluster.plan();
  ASSERT_EQ(plan.placements.size(), 1U);
  EXPECT_EQ(plan.placements[0].job, "gang");
  EXPECT_EQ(plan.placements[0].count, 1U);
}

TEST(FirstComeFirstServed, KeepsTheWorkersOfAGangThatCannotBeRefilled) {
  ClusterModel cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 2);
  cluster.add_job("gang", {3, 3});
  cluster.settle();
  cluster.lose_node("n2");
  const Plan plan = cluster.plan();
  EXPECT_TRUE(plan.releases.empty());
  EXPECT_TRUE(plan.placements.empty());
  EXPECT_EQ(codes_of(plan, "gang"), (Codes{"gang_partial", "never_fits"}));
  EXPECT_EQ(reason_of(plan, "gang", "gang_partial").text,
            "has 2 of the 3 workers of 1 slot each that it needs, and 0 of the 1 missing fit now");
  cluster.add_node("n3", 1);
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"gang", "n3", 1}}));
}

TEST(FirstComeFirstServed, GivesTheWorkersOfAStalledGangToAnEarlierOne) {
  ClusterModel cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 2);
  cluster.add_job("older", {2, 2});
  cluster.add_job("younger", {2, 2});
  cluster.settle();
  cluster.lose_worker(cluster.leases.front().worker);
  cluster.lose_worker(cluster.leases.back().worker);
  cluster.nodes[0].slots = 1;
  cluster.nodes[1].slots = 1;
  const Plan plan = cluster.plan();
  ASSERT_EQ(plan.releases.size(), 1U);
  EXPECT_EQ(plan.releases[0].job, "younger");
  cluster.settle();
  EXPECT_EQ(cluster.live("older"), 2U);
  EXPECT_EQ(cluster.live("younger"), 0U);
}

TEST(FirstComeFirstServed, RefillsAGangThoughAnEarlierJobWaitsForItsWorkers) {
  ClusterModel cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("whole", {4, 4});
  cluster.add_job("gang", {2, 2});
  cluster.demand("whole").held = true;
  cluster.settle();
  cluster.demand("whole").held = false;
  cluster.lose_worker(cluster.leases.back().worker);
  const Plan plan = cluster.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"gang", "n1", 1}}));
  EXPECT_EQ(codes_of(plan, "whole"), Codes{"no_capacity_now"});
}

TEST(FirstComeFirstServed, PacksOntoTheNodeOfTheJobThenOntoTheFullest) {
  ClusterModel cluster;
  cluster.add_node("empty", 4);
  cluster.add_node("fuller", 4);
  cluster.add_job("first", {1, 1});
  cluster.start_worker("first", "fuller");
  cluster.add_job("second", {2, 2});
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"second", "fuller", 2}}));
  cluster.settle();
  cluster.add_job("third", {1, 1});
  cluster.start_worker("third", "empty");
  cluster.demand("third").workers.max = 2;
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"third", "empty", 1}}));
}

TEST(FirstComeFirstServed, CountsReleasingWorkersAsUsingTheirSlotsOnly) {
  ClusterModel cluster;
  cluster.add_node("n1", 2);
  cluster.add_job("a", {1, 2});
  cluster.settle();
  cluster.leases[0].releasing = true;
  EXPECT_EQ(cluster.plan(), Plan{});
  cluster.finish_releases();
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"a", "n1", 1}}));
}

TEST(FirstComeFirstServed, GivesTheSlotsOfAnEndedJobToTheNext) {
  ClusterModel cluster;
  cluster.add_node("n1", 2);
  cluster.add_job("a", {2, 2});
  cluster.add_job("b", {2, 2});
  cluster.settle();
  EXPECT_EQ(cluster.live("b"), 0U);
  cluster.end_job("a");
  cluster.settle();
  EXPECT_EQ(cluster.live("b"), 2U);
}

TEST(FirstComeFirstServed, NeverTouchesLeasesOfJobsItDoesNotKnow) {
  ClusterModel cluster;
  cluster.add_node("n1", 2);
  cluster.leases.push_back({1, "ended", "n1", 1, 0, false});
  cluster.leases.push_back({2, "a", "unlisted", 1, 0, false});
  cluster.add_job("a", {2, 4});
  cluster.add_job("gang", {2, 2});
  const Plan plan = cluster.plan();
  EXPECT_TRUE(plan.releases.empty());
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"a", "n1", 1}}));
}

}  // namespace
}  // namespace ds::scheduler
