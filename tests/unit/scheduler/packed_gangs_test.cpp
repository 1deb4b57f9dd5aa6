#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/gpu_kind.hpp"
#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

using Placements = std::vector<Placement>;

TEST(PackedGangs, EachGoesToOneNodeAsLongAsOneHoldsIt) {
  ClusterModel cluster;
  for (const char* node : {"n1", "n2", "n3", "n4"}) cluster.add_node(node, 4);
  cluster.add_job("f1", {2, 2});
  for (const char* job : {"f2", "f3", "f4"}) cluster.add_job(job, {4, 4});
  cluster.add_job("f5", {2, 2});
  EXPECT_EQ(
      cluster.plan().placements,
      (Placements{{"f1", "n1", 2}, {"f2", "n2", 4}, {"f3", "n3", 4}, {"f4", "n4", 4}, {"f5", "n1", 2}}));
}

TEST(PackedGangs, SoDoThoseOfGpus) {
  ClusterModel cluster;
  for (int i = 1; i <= 6; ++i) cluster.add_gpu_node("n" + std::to_string(i), 8, 8, "NVIDIA H200");
  cluster.add_gpu_job("one", {1, 1}, 1, "");
  for (int i = 2; i <= 6; ++i) cluster.add_gpu_job("gang" + std::to_string(i), {8, 8}, 1, "H200");
  Placements expected{{"one", "n1", 1}};
  for (int i = 2; i <= 6; ++i) expected.push_back({"gang" + std::to_string(i), "n" + std::to_string(i), 8});
  EXPECT_EQ(cluster.plan().placements, expected);
}

TEST(PackedGangs, AreOfOneKindOfGpuWhereOneKindHasRoom) {
  ClusterModel cluster;
  cluster.add_gpu_node("old", 2, 2, "NVIDIA A100");
  cluster.add_gpu_node("new", 8, 8, "NVIDIA H200");
  cluster.add_gpu_job("gang", {4, 4}, 1, "");
  EXPECT_EQ(cluster.plan().placements, (Placements{{"gang", "new", 4}}));
  // Though the other kind has the emptiest node.
  cluster.node("old") = {"old", 5, 1ULL << 40, true, 5, "NVIDIA A100"};
  cluster.node("new") = {"new", 3, 1ULL << 40, true, 3, "NVIDIA H200"};
  cluster.add_gpu_node("new2", 4, 4, "NVIDIA H200");
  cluster.demand("gang").workers = {6, 6};
  EXPECT_EQ(cluster.plan().placements, (Placements{{"gang", "new2", 4}, {"gang", "new", 2}}));
  cluster.demand("gang").workers = {8, 8};
  EXPECT_EQ(cluster.plan().placements, (Placements{{"gang", "old", 5}, {"gang", "new", 3}}))
      << "no kind has room for all of it";
  // One that grows stays with its kind.
  cluster.demand("gang").workers = {3, 7};
  cluster.node("new").slots = cluster.node("old").slots = 16;
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live("gang"), 7U);
  EXPECT_EQ(cluster.live_on("gang", "new") + cluster.live_on("gang", "new2"), 7U);
}

TEST(PackedGangs, GoWhereMostOfThemFitWhereNoNodeHoldsAll) {
  ClusterModel cluster;
  for (const std::uint32_t slots : {3U, 7U, 1U, 6U, 2U}) cluster.add_node("n" + std::to_string(slots), slots);
  cluster.add_job("gang", {4, 4}, 2);
  EXPECT_EQ(cluster.plan().placements, (Placements{{"gang", "n6", 3}, {"gang", "n2", 1}}))
      << "three fit onto n7 too, and n6 is fuller; the last fits onto n2, n3 and n7";
  cluster.node("n6").memory_bytes = 5;
  cluster.node("n7").memory_bytes = 4;
  cluster.demand("gang").memory_bytes = 2;
  EXPECT_EQ(cluster.plan().placements, (Placements{{"gang", "n6", 2}, {"gang", "n7", 2}}));
}

TEST(PackedGangs, WithoutGpusStayOffNodesWithGpusThoughOneOfTheseHoldsThem) {
  ClusterModel cluster;
  cluster.add_gpu_node("gpu", 8, 8, "NVIDIA H200");
  for (const char* node : {"one", "two"}) cluster.add_node(node, 3);
  cluster.add_job("gang", {5, 5});
  EXPECT_EQ(cluster.plan().placements, (Placements{{"gang", "one", 3}, {"gang", "two", 2}}));
}

TEST(PackedGangs, GoToTheNodeThatTheyShunOnlyWhereNoOtherHasRoom) {
  ClusterModel cluster;
  cluster.add_node("bad", 4);
  for (const char* node : {"one", "two"}) cluster.add_node(node, 2);
  cluster.add_job("gang", {4, 4});
  cluster.demand("gang").shuns = "bad";
  EXPECT_EQ(cluster.plan().placements, (Placements{{"gang", "one", 2}, {"gang", "two", 2}}));
  cluster.nodes.clear();
  cluster.add_gpu_node("bad", 8, 8, "NVIDIA H200");
  cluster.add_gpu_node("three", 3, 3, "NVIDIA H200");
  for (const char* node : {"one", "two"}) cluster.add_gpu_node(node, 2, 2, "NVIDIA A100");
  cluster.demand("gang").gpus = 1;
  EXPECT_EQ(cluster.plan().placements, (Placements{{"gang", "one", 2}, {"gang", "two", 2}}))
      << "without that node the other kind has no room for all";
}

TEST(PackedGangs, GrowBySeveralOntoOneNode) {
  ClusterModel cluster;
  cluster.add_node("home", 2);
  cluster.add_node("small", 3);
  cluster.add_node("large", 5);
  cluster.add_job("program", {2, 6});
  cluster.carry_out({.releases = {}, .placements = {{"program", "home", 2}}, .waits = {}});
  cluster.demand("program").grows_to = 6;
  EXPECT_EQ(cluster.plan().placements, (Placements{{"program", "large", 4}}));
}

TEST(PackedGangs, StartOnOneNodeBesideWhatIsPromisedToo) {
  ClusterModel cluster;
  cluster.add_node("one", 1);
  cluster.add_node("wanted", 4);
  cluster.add_node("two", 3);
  cluster.add_job("runs", {2, 2});
  cluster.carry_out({.releases = {}, .placements = {{"runs", "wanted", 2}}, .waits = {}});
  cluster.demand("runs").lasts_ms = cluster.demand("runs").ends_ms = 60'000;
  cluster.add_job("first", {1, 1}, 4);
  cluster.add_job("behind", {2, 2});
  EXPECT_EQ(cluster.plan().placements, (Placements{{"behind", "two", 2}}));
  cluster.demand("behind").lasts_ms = 1'000;
  EXPECT_EQ(cluster.plan().placements, (Placements{{"behind", "wanted", 2}}))
      << "it has ended when that is wanted, and there it fits best";
}

TEST(PackedGangs, HaveOneNodeKeptForThemWhereTheyWait) {
  ClusterModel cluster;
  cluster.add_node("part", 3);
  cluster.add_node("whole", 4);
  cluster.add_node("other", 1);
  cluster.add_job("over", {4, 4});
  cluster.add_job("grows", {1, 4});
  cluster.carry_out(
      {.releases = {}, .placements = {{"over", "whole", 4}, {"grows", "other", 1}}, .waits = {}});
  for (Lease& lease : cluster.leases) lease.releasing = lease.job == "over";
  cluster.demand("over").held = true;
  cluster.add_job("gang", {4, 4});
  cluster.carry_out(cluster.plan());
  EXPECT_EQ(cluster.live_on("grows", "part"), 3U) << "the gang does not need it";
  cluster.finish_releases();
  EXPECT_EQ(cluster.plan().placements, (Placements{{"gang", "whole", 4}}));
}

/// What is free, counted from the leases alone.
struct FreeRooms {
  explicit FreeRooms(const ClusterModel& cluster) : nodes(cluster.nodes) {
    for (const Lease& lease : cluster.leases)
      use(lease.node, lease.slots, lease.memory_bytes, static_cast<std::uint32_t>(lease.devices.size()));
  }
  void use(const std::string& id, SlotCount slots, std::uint64_t memory, std::uint32_t gpus) {
    const auto node = std::ranges::find(nodes, id, &NodeView::id);
    slots_used[id] += slots;
    node->memory_bytes -= memory;
    node->gpus -= gpus;
  }
  std::uint64_t fitting(const NodeView& node, const Demand& job) {
    if (!node.available || (job.gpus > 0 && !is_gpu_kind(job.gpu_kind, node.gpu_kind))) return 0;
    std::uint64_t count = job.slots.fits_into(SlotCount(node.slots) - slots_used[node.id]);
    if (job.memory_bytes > 0) count = std::min(count, node.memory_bytes / job.memory_bytes);
    if (job.gpus > 0) count = std::min<std::uint64_t>(count, node.gpus / job.gpus);
    return count;
  }
  std::vector<NodeView> nodes;  ///< with what is left
  std::map<std::string, SlotCount> slots_used;
};

/// Whether a gang that starts on these nodes had to, by what was free when its turn came.
void check_start(const ClusterModel& cluster, const Demand& job, const std::set<std::string>& at,
                 FreeRooms& free) {
  std::uint64_t most = 0;
  std::map<std::string, std::uint64_t> of_kind, most_of_kind;  // by the kind of GPUs; none: empty
  std::set<std::string> kinds;
  for (std::size_t i = 0; i < cluster.nodes.size(); ++i) {
    const std::string& kind = cluster.nodes[i].gpu_kind;
    const std::uint64_t fitting = free.fitting(free.nodes[i], job);
    of_kind[kind] += fitting;
    most_of_kind[kind] = std::max(most_of_kind[kind], fitting);
    most = std::max(most, fitting);
    if (at.contains(cluster.nodes[i].id)) kinds.insert(kind);
  }
  const std::uint32_t needed = job.workers.min;
  const bool is_split = at.size() > 1;
  if (job.gpus > 0) {
    EXPECT_TRUE(!is_split || most < needed) << job.job << " is split";
    const bool has_kind = std::ranges::any_of(of_kind, [&](const auto& one) { return one.second >= needed; });
    EXPECT_TRUE(!has_kind || kinds.size() == 1) << job.job << " is of several kinds";
    return;
  }
  const std::uint64_t largest = of_kind[""] > 0 ? most_of_kind[""] : most;
  EXPECT_TRUE(!is_split || largest < needed) << job.job << " is split";
  EXPECT_TRUE(of_kind[""] < needed || kinds == std::set<std::string>{""}) << job.job << " takes GPUs' slots";
}

TEST(PackedGangsProperty, NoneIsSplitThatANodeHasRoomForNorOfSeveralKindsWhereOneHas) {
  int split = 0, whole = 0, kinds = 0;
  const Seeds seeds(2000);
  for (const std::uint64_t seed : seeds) {
    SCOPED_TRACE("DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    for (int round = 0; round < 4; ++round) {
      for (int i = 0; i < 3; ++i) add_random_job(cluster, random, 100 + 10 * round + i);
      for (Demand& demand : cluster.demands) {
        demand.workers.max = demand.workers.min;
        demand.preemptible = demand.can_relocate = false;  // so what is free is what can be placed
        demand.placement = PlacementRule::pack;
        demand.priority = kNormalPriority;
        demand.gpu_kind = between(random, 0, 1) == 0 ? demand.gpu_kind : "";
      }
      const Plan plan = cluster.plan();
      ASSERT_TRUE(plan.releases.empty());
      // Those behind one that waits go where they are not in its way.
      std::uint64_t first_waiting = ~0ULL;
      for (const Wait& wait : plan.waits)
        first_waiting = std::min(first_waiting, cluster.demand(wait.job).order);
      FreeRooms free(cluster);
      for (std::size_t i = 0; i < plan.placements.size();) {
        const Demand& job = cluster.demand(plan.placements[i].job);
        std::set<std::string> at;
        std::size_t next = i;
        for (; next < plan.placements.size() && plan.placements[next].job == job.job; ++next)
          at.insert(plan.placements[next].node);
        if (job.order < first_waiting) {
          check_start(cluster, job, at, free);
          at.size() > 1 ? ++split : ++whole;
          kinds += job.gpus > 0 && job.gpu_kind.empty() && at.size() > 1 ? 1 : 0;
        }
        for (; i < next; ++i) {
          const Placement& one = plan.placements[i];
          free.use(one.node, one.count * job.slots, one.count * job.memory_bytes, one.count * job.gpus);
        }
      }
      ASSERT_FALSE(HasFailure());
      cluster.carry_out(plan);
      for (int i = 0; i < 3 && !cluster.demands.empty(); ++i)
        cluster.end_job(cluster.demands[below(random, cluster.demands.size())].job);
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(split, 300);
  EXPECT_GT(whole, 1000);
  EXPECT_GT(kinds, 20);
}

}  // namespace
}  // namespace ds::scheduler
