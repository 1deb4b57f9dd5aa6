#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/gpu_kind.hpp"
#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

TEST(GpuKind, IsFoundInTheDriversNameWordByWordAndWithoutCase) {
  EXPECT_TRUE(is_gpu_kind("H200", "NVIDIA H200"));
  EXPECT_TRUE(is_gpu_kind("h200", "NVIDIA H200"));
  EXPECT_TRUE(is_gpu_kind("nvidia h200", "NVIDIA H200"));
  EXPECT_TRUE(is_gpu_kind("A100-80GB", "NVIDIA A100-SXM4-80GB"));
  EXPECT_TRUE(is_gpu_kind("RTX4090", "NVIDIA GeForce RTX 4090"));
  EXPECT_TRUE(is_gpu_kind("", "NVIDIA H200")) << "any";
  EXPECT_TRUE(is_gpu_kind("H200", "H200"));
  EXPECT_FALSE(is_gpu_kind("H20", "NVIDIA H200"));
  EXPECT_FALSE(is_gpu_kind("V100", "Tesla V100S"));
  EXPECT_FALSE(is_gpu_kind("A100-40GB", "NVIDIA A100-SXM4-80GB"));
  EXPECT_FALSE(is_gpu_kind("-", "NVIDIA H200"));
}

TEST(GpuKind, IsOneOfSeveral) {
  EXPECT_TRUE(is_gpu_kind("H200|A100", "NVIDIA H200"));
  EXPECT_TRUE(is_gpu_kind("H200|a100-80gb", "NVIDIA A100-SXM4-80GB"));
  EXPECT_FALSE(is_gpu_kind("H200|A100", "NVIDIA L4"));
}

TEST(GpuKind, DevicesAreTheLowestThatNobodyHas) {
  using Devices = std::vector<std::uint32_t>;
  EXPECT_EQ(choose_devices(4, {}, 2), (Devices{0, 1}));
  EXPECT_EQ(choose_devices(4, {0, 2}, 2), (Devices{1, 3}));
  EXPECT_EQ(choose_devices(4, {}, 0), Devices{});
  EXPECT_EQ(choose_devices(4, {0, 2}, 3), std::nullopt);
  EXPECT_EQ(choose_devices(1, {7}, 1), Devices{0}) << "a lease may be of a time when there were more";
}

TEST(GpuPlan, WorkersGoWhereFreeGpusOfTheirKindAre) {
  ClusterModel cluster;
  cluster.add_node("cpu", 8);
  cluster.add_gpu_node("old", 8, 4, "NVIDIA A100");
  cluster.add_gpu_node("new", 8, 2, "NVIDIA H200");
  cluster.add_gpu_job("a", {1, 1}, 1, "h200");
  cluster.add_gpu_job("b", {2, 2}, 2, "A100");
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live_on("a", "new"), 1U);
  EXPECT_EQ(cluster.live_on("b", "old"), 2U);
  EXPECT_EQ(cluster.leases.back().devices, (std::vector<std::uint32_t>{2, 3}));
}

class GpuChoice : public ::testing::Test {
 protected:
  GpuChoice() {
    cluster_.add_gpu_node("l4", 8, 4, "NVIDIA L4");
    cluster_.add_gpu_node("a100", 8, 4, "NVIDIA A100");
    cluster_.add_gpu_node("h200", 8, 4, "NVIDIA H200");
  }
  ClusterModel cluster_;
};

TEST_F(GpuChoice, TakesTheMostWantedKindThatHasRoomForAll) {
  for (const auto rule : {PlacementRule::pack, PlacementRule::same_node, PlacementRule::spread}) {
    ClusterModel cluster = cluster_;
    const std::uint32_t workers = rule == PlacementRule::spread ? 1 : 2;
    for (const char* job : {"first", "second", "third"}) {
      cluster.add_gpu_job(job, {workers, workers}, 3 / workers + workers / 2, "H200|A100");
      cluster.demands.back().placement = rule;
    }
    cluster.settle();
    EXPECT_EQ(cluster.live_on("first", "h200"), workers);
    EXPECT_EQ(cluster.live_on("second", "a100"), workers);
    EXPECT_EQ(cluster.live("third"), 0U) << "it does not take an L4";
    cluster.end_job("second");
    cluster.end_job("first");
    cluster.settle();
    EXPECT_EQ(cluster.live_on("third", "h200"), workers);
  }
}

TEST_F(GpuChoice, IsOneKindForTheWholeGangWhereOneHasRoomForAll) {
  cluster_.add_gpu_job("small", {1, 1}, 2, "H200");
  cluster_.settle();
  cluster_.add_gpu_job("gang", {4, 4}, 1, "H200|A100");
  cluster_.settle();
  EXPECT_EQ(cluster_.live_on("gang", "a100"), 4U) << "two H200 are too few for all";
}

TEST_F(GpuChoice, GrowsOnTheKindThatItHas) {
  cluster_.add_gpu_job("small", {1, 1}, 3, "H200");
  cluster_.settle();
  cluster_.add_gpu_job("gang", {2, 2}, 1, "H200|A100");
  cluster_.settle();
  ASSERT_EQ(cluster_.live_on("gang", "a100"), 2U);
  cluster_.end_job("small");
  cluster_.demand("gang").workers.max = 4;
  cluster_.settle();
  EXPECT_EQ(cluster_.live_on("gang", "a100"), 4U);
}

TEST_F(GpuChoice, WaitsForAnyOfItsKindsAndSaysSo) {
  cluster_.add_gpu_job("on h200", {1, 1}, 4, "H200");
  cluster_.add_gpu_job("on a100", {1, 1}, 4, "A100");
  cluster_.add_gpu_job("on l4", {1, 1}, 2, "L4");
  cluster_.settle();
  cluster_.add_gpu_job("waits", {1, 1}, 2, "H200|A100");
  const Plan plan = cluster_.plan();
  EXPECT_EQ(testing::codes_of(plan, "waits"), (std::vector<std::string>{"no_capacity_now", "gpu_type"}));
  const Wait& wait = plan.waits.front();
  EXPECT_EQ(
      wait.reasons[0].text,
      "needs 1 worker of 1 slot and 2 H200 or A100 GPUs at once, and 0 fit now: 21 of 24 slots are free, "
      "and 0 of 8 H200 or A100 GPUs");
  EXPECT_EQ(
      wait.reasons[1].text,
      "each worker needs 2 H200 or A100 GPUs, of which 0 of 8 are free; of other kinds 2 of 4 NVIDIA L4");
  for (const std::string& job : wait.reasons[0].blocking) EXPECT_NE(job, "on l4");
  EXPECT_EQ(wait.reasons[0].blocking.size(), 2U);
  cluster_.end_job("on a100");
  cluster_.settle();
  EXPECT_EQ(cluster_.live_on("waits", "a100"), 1U);
}

TEST_F(GpuChoice, NeverFitsOnlyWhereNoneOfItsKindsDoes) {
  cluster_.add_gpu_job("one", {1, 1}, 1, "B300|A100");
  cluster_.add_gpu_job("none", {1, 1}, 1, "B300|V100");
  cluster_.settle();
  EXPECT_EQ(cluster_.live_on("one", "a100"), 1U);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(testing::codes_of(plan, "none"), (std::vector<std::string>{"never_fits", "gpu_type"}));
  EXPECT_EQ(
      plan.waits.front().reasons.back().text,
      "each worker needs 1 B300 or V100 GPU, and available nodes have 0 of those kinds; of other kinds 4 "
      "NVIDIA A100 and 4 NVIDIA H200 and 4 NVIDIA L4");
}

TEST(GpuPlan, GpusAreNotGivenTwiceNorBeforeTheyAreFree) {
  ClusterModel cluster;
  cluster.add_gpu_node("node", 8, 2, "NVIDIA H200");
  cluster.add_gpu_job("a", {1, 1}, 2, "");
  cluster.add_gpu_job("b", {1, 1}, 1, "");
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live("b"), 0U);
  cluster.leases.front().releasing = true;
  EXPECT_TRUE(cluster.plan().placements.empty());
  cluster.finish_releases();
  cluster.demand("a").held = true;
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"b", "node", 1}}));
}

TEST(GpuPlan, PacksByGpusSoThatLargeWorkersFindRoom) {
  ClusterModel cluster;
  cluster.add_gpu_node("one", 2, 4, "NVIDIA H200");
  cluster.add_gpu_node("two", 8, 4, "NVIDIA H200");
  cluster.add_gpu_job("small", {1, 1}, 1, "");
  cluster.carry_out(cluster.plan());
  ASSERT_EQ(cluster.live_on("small", "one"), 1U);
  cluster.leases.front().node = "two";  // fewer free GPUs, more free slots
  cluster.add_gpu_job("second", {1, 1}, 1, "");
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live_on("second", "two"), 1U);
}

TEST(GpuPlan, JobsWithoutGpusStayOffNodesWithGpusWhileOthersHaveRoom) {
  ClusterModel cluster;
  cluster.add_gpu_node("gpu", 2, 4, "NVIDIA H200");
  cluster.add_node("cpu", 16);
  cluster.add_job("plain", {15, 15});
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live_on("plain", "gpu"), 0U);
  cluster.add_job("more", {3, 3});
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live_on("more", "cpu"), 1U);
  EXPECT_EQ(cluster.live_on("more", "gpu"), 2U);
}

TEST(GpuPlan, TheSameForRoomThatIsKeptAndForWhoStartsBehind) {
  ClusterModel cluster;
  cluster.add_gpu_node("gpu", 4, 4, "NVIDIA H200");
  cluster.add_node("cpu", 4);
  cluster.add_job("runs", {3, 3});
  cluster.demands.back().lasts_ms = 60'000;
  cluster.carry_out(cluster.plan());
  cluster.add_job("large", {7, 7});  // waits for `runs`
  cluster.demands.back().lasts_ms = 60'000;
  cluster.add_job("short", {1, 1});
  cluster.demands.back().lasts_ms = 1'000;
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live("large"), 0U);
  EXPECT_EQ(cluster.live_on("short", "cpu"), 1U);
}

TenantTree one_tenant_with(std::uint64_t gpus) {
  TenantTree tree;
  tree.queues[0].is_leaf = false;
  tree.queues.push_back({.name = "default", .depth = 1, .gpu_limit = gpus});
  tree.queues.push_back({.name = "other", .depth = 1});
  return tree;
}

TEST(GpuPlan, AQueueHasNoMoreGpusThanItsLimitAndOthersHaveTheRest) {
  ClusterModel cluster;
  cluster.tenants = one_tenant_with(2);
  cluster.add_gpu_node("node", 16, 4, "NVIDIA H200");
  cluster.add_gpu_job("a", {1, 4}, 1, "");
  cluster.add_gpu_job("b", {1, 1}, 2, "");
  cluster.add_gpu_job("c", {1, 1}, 2, "");
  cluster.demand("c").tenant = "other";
  cluster.settle();
  EXPECT_EQ(cluster.live("a"), 2U);
  EXPECT_EQ(cluster.live("b"), 0U);
  EXPECT_EQ(cluster.live("c"), 1U);
  const Plan plan = cluster.plan();
  EXPECT_EQ(text_of(plan, "b"), "needs 2 GPUs, and default may have 2 GPUs and has 2");
  cluster.demand("b").gpus = 3;
  EXPECT_EQ(text_of(cluster.plan(), "b"),
            "needs 3 GPUs, and default may have 2 GPUs and can never have more");
}

TEST(GpuPlan, OneThatWaitsForItsQueuesGpusKeepsNobodyBackThatNeedsNone) {
  ClusterModel cluster;
  cluster.tenants = one_tenant_with(1);
  cluster.add_gpu_node("node", 4, 4, "NVIDIA H200");
  cluster.add_gpu_job("runs", {1, 1}, 1, "");
  cluster.carry_out(cluster.plan());
  cluster.add_gpu_job("waits", {1, 1}, 1, "");
  cluster.add_gpu_job("behind", {1, 1}, 1, "");
  cluster.add_job("plain", {2, 2});
  cluster.settle();
  EXPECT_EQ(cluster.live("waits") + cluster.live("behind"), 0U);
  EXPECT_EQ(cluster.live("plain"), 2U);
}

/// The queue's guarantee has room for `waits` and `plain` once `runs` has ended, before which `waits` can't
/// start.
TEST(GpuPlan, OneThatWaitsForItsQueuesGpusAndForRoomKeepsNobodyBackBesideWhomItIsWithinItsGuaranteeThen) {
  ClusterModel cluster;
  cluster.tenants = one_tenant_with(1);
  cluster.tenants.queues[1].guaranteed = 2;
  cluster.add_gpu_node("node", 8, 1, "NVIDIA H200");
  cluster.add_gpu_job("runs", {1, 1}, 1, "");
  cluster.carry_out(cluster.plan());
  cluster.add_gpu_job("waits", {1, 1}, 1, "");
  cluster.add_job("plain", {1, 1});
  cluster.add_job("more", {1, 1});
  cluster.settle();
  EXPECT_EQ(cluster.live("plain"), 1U);
  EXPECT_EQ(cluster.live("more"), 0U);
  const Plan plan = cluster.plan();
  EXPECT_NE(text_of(plan, "more")
                .find("it would fit now, but beside it waits would need more than its queue "
                      "is guaranteed"),
            std::string::npos)
      << text_of(plan, "more");
  cluster.add_gpu_job("of other", {1, 1}, 1, "");
  cluster.demand("of other").tenant = "other";
  cluster.end_job("runs");
  cluster.settle();
  EXPECT_EQ(cluster.live("waits"), 1U);
  EXPECT_EQ(cluster.live("of other"), 0U);
}

TEST(GpuPlan, TurnsGoByTheShareOfGpusWhereThatIsTheLargest) {
  ClusterModel cluster;
  cluster.tenants = one_tenant_with(100);
  cluster.add_gpu_node("node", 32, 4, "NVIDIA H200");
  cluster.add_gpu_job("a", {1, 1}, 2, "");  // half of the GPUs, one slot of 32
  cluster.add_job("b", {4, 4});             // an eighth of the slots
  cluster.demand("b").tenant = "other";
  cluster.settle();
  cluster.add_gpu_job("a2", {1, 1}, 2, "");
  cluster.add_gpu_job("b2", {1, 1}, 2, "");
  cluster.demand("b2").tenant = "other";
  cluster.settle();
  EXPECT_EQ(cluster.live("a2"), 0U);
  EXPECT_EQ(cluster.live("b2"), 1U);
}

TEST(GpuPlan, WhatWasUsedLatelyOfGpusCounts) {
  ClusterModel cluster;
  cluster.tenants = one_tenant_with(100);
  cluster.past = {{"default", "default", 0, 0, 2.0}};
  cluster.add_gpu_node("node", 32, 1, "NVIDIA H200");
  cluster.add_gpu_job("a", {1, 1}, 1, "");
  cluster.add_gpu_job("b", {1, 1}, 1, "");
  cluster.demand("b").tenant = "other";
  cluster.settle();
  EXPECT_EQ(cluster.live("b"), 1U);
}

TEST(GpuPlan, StartsWhatNeedsNoGpuInSlotsThatTheGpusOfANodeCannotUse) {
  ClusterModel cluster;
  cluster.add_gpu_node("node", 16, 1, "NVIDIA H200");
  cluster.add_gpu_job("runs", {1, 1}, 1, "");
  cluster.carry_out(cluster.plan());
  cluster.add_gpu_job("waits", {1, 1}, 1, "");  // nobody knows for how long
  cluster.demands.back().slots = 4;
  cluster.add_job("wide", {1, 1}, 13);  // of the 15 that are free
  cluster.add_job("plain", {1, 1}, 8);
  cluster.add_job("more", {1, 1}, 3);
  cluster.add_job("another", {1, 1}, 2);
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live("waits") + cluster.live("wide"), 0U);
  EXPECT_EQ(cluster.live("plain"), 1U);
  EXPECT_EQ(cluster.live("more"), 1U);
  EXPECT_EQ(cluster.live("another"), 0U) << "4 slots are left for who waits";
  std::erase_if(cluster.leases, [](const Lease& lease) { return lease.job == "runs"; });
  cluster.demand("runs").held = true;
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"waits", "node", 1}}));
}

TEST(GpuPlan, StartsNothingBehindWhoWaitsForGpusWhereThatWouldBeInItsWay) {
  ClusterModel cluster;
  cluster.add_gpu_node("node", 4, 2, "NVIDIA H200");
  cluster.add_gpu_job("runs", {1, 1}, 2, "");
  cluster.carry_out(cluster.plan());
  cluster.add_gpu_job("waits", {2, 2}, 1, "");
  cluster.demands.back().slots = 2;
  cluster.add_job("plain", {1, 1}, 1);
  EXPECT_TRUE(cluster.plan().placements.empty());
}

TEST(GpuPlan, AJobThatNeedsGpusTakesNothingFromThoseOnOtherNodes) {
  ClusterModel cluster;
  cluster.add_node("cpu", 4);
  cluster.add_gpu_node("gpu", 4, 1, "NVIDIA H200");
  cluster.add_job("elastic", {1, 8});
  cluster.settle();
  ASSERT_EQ(cluster.live("elastic"), 8U);
  cluster.add_gpu_job("wants", {1, 1}, 1, "H200");
  const Plan plan = cluster.plan();
  ASSERT_EQ(plan.releases.size(), 1U);
  for (const Lease& lease : cluster.leases) {
    if (lease.worker == plan.releases.front().worker) {
      EXPECT_EQ(lease.node, "gpu");
    }
  }
}

TEST(GpuPlan, PreemptsThoseWhoseGpusItNeeds) {
  ClusterModel cluster;
  cluster.add_node("cpu", 1);
  cluster.add_gpu_node("gpu", 4, 1, "NVIDIA H200");
  cluster.add_job("plain", {1, 1});
  cluster.add_gpu_job("low", {1, 1}, 1, "");
  cluster.demand("plain").priority = cluster.demand("low").priority = kLowPriority;
  cluster.settle();
  cluster.add_gpu_job("high", {1, 1}, 1, "");
  cluster.demands.back().priority = kHighPriority;
  EXPECT_EQ(cluster.plan().preemptions, (std::vector<Preemption>{{"low", "high"}}));
}

TEST(GpuPlan, GrowsOnlyAsFarAsThereAreGpus) {
  ClusterModel cluster;
  cluster.add_gpu_node("one", 8, 3, "NVIDIA H200");
  cluster.add_gpu_node("two", 8, 2, "NVIDIA A100");
  cluster.add_gpu_job("elastic", {1, 8}, 1, "H200");
  cluster.settle();
  EXPECT_EQ(cluster.live("elastic"), 3U);
}

TEST(GpuPlan, SaysWhatItLacksWithTheNumbersOfGpus) {
  ClusterModel cluster;
  cluster.add_gpu_node("one", 8, 2, "NVIDIA H200");
  cluster.add_gpu_node("two", 8, 4, "NVIDIA A100");
  cluster.add_gpu_job("runs", {1, 1}, 2, "H200");
  cluster.carry_out(cluster.plan());
  cluster.add_gpu_job("waits", {1, 1}, 1, "H200");
  const Plan plan = cluster.plan();
  EXPECT_EQ(codes_of(plan, "waits"), (std::vector<std::string>{"no_capacity_now", "gpu_type"}));
  EXPECT_EQ(
      text_of(plan, "waits"),
      "needs 1 worker of 1 slot and 1 H200 GPU at once, and 0 fit now: 15 of 16 slots are free, and 0 of "
      "2 H200 GPUs");
  EXPECT_EQ(plan.waits[0].reasons[0].blocking, std::vector<std::string>{"runs"});
  EXPECT_EQ(plan.waits[0].reasons[1].text,
            "each worker needs 1 H200 GPU, of which 0 of 2 are free; of other kinds 4 of 4 NVIDIA A100");
}

TEST(GpuPlan, SaysThatNoNodeHasThatKindOrSoMany) {
  ClusterModel cluster;
  cluster.add_node("plain", 8);
  cluster.add_gpu_node("two", 8, 4, "NVIDIA A100");
  cluster.add_gpu_job("other", {1, 1}, 1, "H200");
  cluster.add_gpu_job("large", {1, 1}, 5, "");
  const Plan plan = cluster.plan();
  EXPECT_EQ(codes_of(plan, "other"), (std::vector<std::string>{"never_fits", "gpu_type"}));
  EXPECT_EQ(text_of(plan, "other"),
            "needs 1 worker of 1 slot and 1 H200 GPU at once, and 2 available nodes with 16 slots and 0 H200 "
            "GPUs have room for 0 even when empty");
  EXPECT_EQ(
      plan.waits[0].reasons[1].text,
      "each worker needs 1 H200 GPU, and available nodes have 0 of that kind; of other kinds 4 NVIDIA A100");
  EXPECT_EQ(codes_of(plan, "large"), std::vector<std::string>{"never_fits"});
  EXPECT_NE(text_of(plan, "large").find("16 slots and 4 GPUs have room for 0"), std::string::npos);
  cluster.nodes.back().available = false;
  cluster.demands = {cluster.demand("other")};
  cluster.demands.back().gpu_kind = "A100";
  EXPECT_EQ(codes_of(cluster.plan(), "other"), std::vector<std::string>{"drain"});
}

}  // namespace
}  // namespace ds::scheduler
