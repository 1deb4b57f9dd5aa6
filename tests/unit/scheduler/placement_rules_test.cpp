#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

std::set<std::string> nodes_of(const ClusterModel& cluster, const std::string& job) {
  std::set<std::string> nodes;
  for (const Lease& lease : cluster.leases) {
    if (lease.job == job && !lease.releasing) nodes.insert(lease.node);
  }
  return nodes;
}

void add_together(ClusterModel& cluster, std::string job, WorkerCount workers) {
  cluster.add_job(std::move(job), workers);
  cluster.demands.back().placement = PlacementRule::same_node;
}

TEST(ShunnedNode, IsTheLastChoice) {
  for (const auto rule : {PlacementRule::pack, PlacementRule::same_node}) {
    ClusterModel cluster;
    cluster.add_node("bad", 2);  // the fullest
    cluster.add_node("good", 4);
    cluster.add_job("a", {2, 2});
    cluster.add_job("b", {2, 2});
    cluster.add_job("c", {2, 2});
    for (Demand& demand : cluster.demands) {
      demand.placement = rule;
      demand.shuns = "bad";
    }
    EXPECT_EQ(cluster.plan().placements,
              (std::vector<Placement>{{"a", "good", 2}, {"b", "good", 2}, {"c", "bad", 2}}));
    cluster.demand("a").shuns = "";
    EXPECT_EQ(cluster.plan().placements.at(0), (Placement{"a", "bad", 2}));
  }
}

TEST(ShunnedNode, IsTheLastChoiceOfThoseThatStartBehindOthersToo) {
  ClusterModel cluster;
  cluster.add_node("bad", 2);
  cluster.add_node("good", 3);
  cluster.add_node("large", 8);
  cluster.add_job("runs", {8, 8});
  cluster.start_worker("runs", "large");
  for (int i = 0; i < 7; ++i) cluster.start_worker("runs", "large");
  cluster.add_job("gang", {1, 1}, 8);  // only the large node is of use to it
  cluster.demand("runs").lasts_ms = cluster.demand("runs").ends_ms = 100'000;
  cluster.add_job("short", {1, 1});
  cluster.demands.back().lasts_ms = 1'000;
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"short", "bad", 1}}));
  cluster.demands.back().shuns = "bad";
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"short", "good", 1}}));
}

TEST(SameNode, TheWholeGangGoesToTheFullestNodeThatHasRoomForIt) {
  ClusterModel cluster;
  cluster.add_node("small", 2);
  cluster.add_node("large", 8);
  cluster.add_node("middle", 4);
  add_together(cluster, "gang", {3, 3});
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"gang", "middle", 3}}));
}

TEST(SameNode, WaitsForOneNodeThoughAllTogetherHaveRoom) {
  ClusterModel cluster;
  cluster.add_node("one", 4);
  cluster.add_node("two", 4);
  cluster.add_job("first", {2, 2});
  cluster.add_job("second", {2, 2});
  cluster.carry_out(cluster.plan());
  cluster.leases.back().node = cluster.leases[2].node = "two";
  add_together(cluster, "gang", {3, 3});
  const Plan plan = cluster.plan();
  EXPECT_TRUE(plan.placements.empty());
  EXPECT_EQ(codes_of(plan, "gang"), std::vector<std::string>{"topology"});
  EXPECT_EQ(text_of(plan, "gang"),
            "needs 3 workers of 1 slot each on one node, and the node with the most room has it for 2 now, "
            "all nodes "
            "together for 4");
  EXPECT_EQ(plan.waits[0].reasons[0].blocking, (std::vector<std::string>{"first", "second"}));
  cluster.end_job("first");
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"gang", "one", 3}}));
}

TEST(SameNode, NeverFitsWhereNoNodeIsLargeEnough) {
  ClusterModel cluster;
  cluster.add_node("one", 4);
  cluster.add_node("two", 4);
  add_together(cluster, "gang", {5, 5});
  const Plan plan = cluster.plan();
  EXPECT_EQ(codes_of(plan, "gang"), (std::vector<std::string>{"never_fits", "topology"}));
  EXPECT_EQ(text_of(plan, "gang"),
            "needs 5 workers of 1 slot each on one node at once, and 2 available nodes with 8 slots have "
            "room for 4 "
            "even when empty");
  cluster.add_job("behind", {1, 1});
  EXPECT_EQ(cluster.plan().placements.size(), 1U) << "it keeps nobody back";
}

TEST(SameNode, GrowsOnlyThere) {
  ClusterModel cluster;
  cluster.add_node("one", 4);
  cluster.add_node("two", 9);
  add_together(cluster, "gang", {2, 9});
  cluster.settle();
  EXPECT_EQ(cluster.live_on("gang", "one"), 4U);
  EXPECT_EQ(nodes_of(cluster, "gang").size(), 1U);
  cluster.add_job("other", {1, 9});
  cluster.settle();
  EXPECT_EQ(cluster.live_on("other", "two"), 9U) << "one that can't grow is in nobody's way";
}

TEST(SameNode, IsRefilledWhereItIsAndStartsElsewhereOnceItHasNoWorker) {
  ClusterModel cluster;
  cluster.add_node("one", 3);
  cluster.add_node("two", 9);
  add_together(cluster, "gang", {3, 3});
  cluster.settle();
  ASSERT_EQ(cluster.live_on("gang", "one"), 3U);
  cluster.lose_worker(cluster.leases.back().worker);
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"gang", "one", 1}}));
  cluster.lose_node("one");
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"gang", "two", 3}}));
}

TEST(SameNode, ShrinksOthersWhereThatMakesRoomOnOneNode) {
  ClusterModel cluster;
  cluster.add_node("one", 2);
  cluster.add_node("two", 4);
  cluster.add_job("elastic", {1, 6});
  cluster.settle();
  ASSERT_EQ(cluster.live("elastic"), 6U);
  add_together(cluster, "gang", {3, 3});
  const Plan plan = cluster.plan();
  EXPECT_EQ(plan.releases.size(), 3U);
  for (const Lease& lease : cluster.leases) {
    const bool is_released =
        std::ranges::find(plan.releases, lease.worker, &Release::worker) != plan.releases.end();
    EXPECT_TRUE(!is_released || lease.node == "two");
  }
  cluster.settle();
  EXPECT_EQ(cluster.live_on("gang", "two"), 3U);
}

TEST(SameNode, KeepsItsPromiseOfANode) {
  ClusterModel cluster;
  cluster.add_node("one", 2);
  cluster.add_node("two", 2);
  for (const char* job : {"a", "b"}) {
    cluster.add_job(job, {1, 1});
    cluster.demands.back().lasts_ms = job == std::string("a") ? 10'000 : 99'000;
  }
  cluster.carry_out(cluster.plan());
  cluster.leases.back().node = "two";
  add_together(cluster, "gang", {2, 2});  // has node `one` when `a` has ended
  cluster.add_job("short", {1, 1});
  cluster.demands.back().lasts_ms = 10'000;
  cluster.add_job("long", {1, 1});
  cluster.demands.back().lasts_ms = 50'000;
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live("short"), 1U);
  EXPECT_EQ(cluster.live_on("long", "two"), cluster.live_on("short", "one"));
  EXPECT_EQ(cluster.live_on("long", "one"), 0U);
}

TEST(Spread, PutsNoTwoOnOneNodeWhileOthersHaveRoom) {
  ClusterModel cluster;
  for (const char* node : {"one", "two", "three"}) cluster.add_node(node, 4);
  cluster.add_job("gang", {5, 5});
  cluster.demands.back().placement = PlacementRule::spread;
  cluster.carry_out(cluster.plan());
  std::multiset<std::uint32_t> counts;
  for (const NodeView& node : cluster.nodes) counts.insert(cluster.live_on("gang", node.id));
  EXPECT_EQ(counts, (std::multiset<std::uint32_t>{1, 2, 2}));
}

TEST(Spread, GrowsAndStartsBehindOthersInTheSameWay) {
  ClusterModel cluster;
  for (const char* node : {"one", "two", "three", "four"}) cluster.add_node(node, 4);
  cluster.add_job("first", {1, 1});
  cluster.demands.back().lasts_ms = 60'000;
  cluster.carry_out(cluster.plan());
  cluster.add_job("large", {16, 16});
  cluster.add_job("gang", {2, 4});
  cluster.demands.back().placement = PlacementRule::spread;
  cluster.demands.back().lasts_ms = 1'000;
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(nodes_of(cluster, "gang").size(), 4U);
  EXPECT_EQ(cluster.live("gang"), 4U);
}

TEST(Spread, StartsAllTheSameWhereThereIsOneNode) {
  ClusterModel cluster;
  cluster.add_node("one", 4);
  cluster.add_job("gang", {3, 3});
  cluster.demands.back().placement = PlacementRule::spread;
  EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"gang", "one", 3}}));
}

}  // namespace
}  // namespace ds::scheduler
