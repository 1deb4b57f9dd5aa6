#include "scheduler/policy/departures.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "scheduler/spec/tenant_file.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler {
namespace {

using testing::ClusterModel;
using testing::codes_of;

/// A cluster whose drained nodes are emptied.
struct DrainedCluster : ClusterModel {
  NodeNames drained;

  void drain(const std::string& id) {
    drained.insert(id);
    node(id).available = false;
  }
  PlanWithDepartures plan_all() const {
    return plan_with_departures(nodes, leases, demands, tenants, past, drained);
  }
  void carry_out_all(const PlanWithDepartures& next) {
    Plan plan = next.plan;
    plan.releases.insert(plan.releases.begin(), next.departures.begin(), next.departures.end());
    carry_out(plan);
  }
  /// Until nothing changes; false: it goes on for ever.
  bool settle_all() {
    for (int round = 0; round < 100; ++round) {
      const auto next = plan_all();
      if (next.departures.empty() && next.plan.releases.empty() && next.plan.placements.empty()) return true;
      carry_out_all(next);
      finish_releases();
    }
    return false;
  }
  std::uint32_t on_drained() const {
    return static_cast<std::uint32_t>(std::ranges::count_if(
        leases, [&](const Lease& lease) { return drained.contains(lease.node) && !lease.releasing; }));
  }
};

std::vector<std::uint64_t> workers_of(const std::vector<Release>& releases) {
  std::vector<std::uint64_t> workers;
  for (const Release& release : releases) workers.push_back(release.worker);
  return workers;
}

TEST(Departures, AreNoneWhereNothingIsDrained) {
  DrainedCluster cluster;
  cluster.add_node("n1", 2);
  cluster.add_job("a", {1, 2});
  const auto planned = cluster.plan_all();
  EXPECT_TRUE(planned.departures.empty());
  EXPECT_TRUE(planned.stopped.empty());
  EXPECT_EQ(planned.plan, cluster.plan());
}

TEST(Departures, ShrinkAnElasticGangThatHasItsMinimumElsewhere) {
  DrainedCluster cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 2);
  cluster.add_job("a", {1, 4});
  cluster.settle();
  ASSERT_EQ(cluster.live_on("a", "n2"), 2U);
  cluster.drain("n2");
  const auto planned = cluster.plan_all();
  EXPECT_EQ(planned.departures.size(), 2U);
  EXPECT_TRUE(planned.stopped.empty());
  EXPECT_TRUE(planned.plan.placements.empty());
  EXPECT_TRUE(cluster.settle_all());
  EXPECT_EQ(cluster.live_on("a", "n1"), 2U);
  EXPECT_EQ(cluster.on_drained(), 0U);
}

TEST(Departures, MoveAGangWhoseMinimumFitsElsewhereNow) {
  DrainedCluster cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 2);
  cluster.add_job("a", {2, 2});
  cluster.settle();
  ASSERT_EQ(cluster.live_on("a", "n1"), 2U);
  cluster.drain("n1");
  const auto planned = cluster.plan_all();
  EXPECT_EQ(workers_of(planned.departures), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_TRUE(planned.stopped.empty());
  EXPECT_EQ(planned.plan.placements, (std::vector<Placement>{{"a", "n2", 2}}));
}

TEST(Departures, WaitForTheRoomThatIsMadeElsewhere) {
  DrainedCluster cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 2);
  cluster.add_job("a", {1, 2});
  cluster.add_job("b", {1, 2});
  for (const char* job : {"a", "a", "b", "b"})
    cluster.start_worker(job, job == std::string("a") ? "n1" : "n2");
  cluster.drain("n1");
  const auto planned = cluster.plan_all();
  EXPECT_TRUE(planned.departures.empty());
  EXPECT_TRUE(planned.stopped.empty());
  EXPECT_EQ(planned.plan.releases, (std::vector<Release>{{"b", 4}}));
  cluster.carry_out_all(planned);
  const auto meanwhile = cluster.plan_all();
  EXPECT_TRUE(meanwhile.departures.empty() && meanwhile.stopped.empty() && meanwhile.plan.releases.empty());
  cluster.finish_releases();
  const auto moved = cluster.plan_all();
  EXPECT_EQ(workers_of(moved.departures), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_TRUE(moved.stopped.empty());
  EXPECT_EQ(moved.plan.placements, (std::vector<Placement>{{"a", "n2", 1}}));
}

TEST(Departures, StopTheRestOfAGangThatFitsNowhereElse) {
  DrainedCluster cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 2);
  cluster.add_job("a", {3, 3});
  cluster.settle();
  cluster.demand("a").preemptible = false;
  cluster.demand("a").is_young = true;
  cluster.drain("n1");
  const auto planned = cluster.plan_all();
  EXPECT_EQ(planned.departures.size(), 3U);
  EXPECT_EQ(planned.stopped, std::vector<std::string>{"a"});
  cluster.carry_out_all(planned);
  cluster.finish_releases();
  EXPECT_TRUE(cluster.leases.empty());
  EXPECT_EQ(codes_of(cluster.plan_all().plan, "a"), std::vector<std::string>{"drain"});
  // What it held is free for who fits, and it starts whole when the node is back.
  cluster.drained.clear();
  cluster.node("n1").available = true;
  EXPECT_TRUE(cluster.settle_all());
  EXPECT_EQ(cluster.live("a"), 3U);
}

TEST(Departures, StopAGangRatherThanPassItsQuotaForAMoment) {
  DrainedCluster cluster;
  cluster.add_node("n1", 2);
  cluster.add_node("n2", 2);
  cluster.add_job("a", {2, 2});
  cluster.settle();
  cluster.tenants = std::get<TenantTree>(
      parse_tenant_file("version: 1\ntenants:\n  t: {guaranteed: 2, borrowing_limit: 0}\n"));
  cluster.demand("a").tenant = "t";
  for (Lease& lease : cluster.leases) lease.tenant = "t";
  cluster.drain("n1");
  const auto planned = cluster.plan_all();
  EXPECT_EQ(planned.stopped, std::vector<std::string>{"a"});
  EXPECT_TRUE(planned.plan.placements.empty());
  DrainedCluster busy = cluster;
  busy.add_node("n3", 2);
  busy.leases.push_back({.worker = 99, .job = "other", .node = "n3", .releasing = true});
  EXPECT_EQ(busy.plan_all().stopped, std::vector<std::string>{"a"}) << "though others are leaving somewhere";
  EXPECT_TRUE(cluster.settle_all());
  EXPECT_EQ(cluster.live_on("a", "n2"), 2U);
}

TEST(Departures, TakeTheNewestWorkersOfAJobThatHasMoreThanItMayHave) {
  DrainedCluster cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("a", {1, 3});
  cluster.add_job("b", {1, 1});
  cluster.settle();
  ASSERT_EQ(cluster.live("a"), 3U);
  cluster.demand("a").workers = {1, 1};
  const auto planned = cluster.plan_all();
  auto workers = workers_of(planned.departures);
  std::vector<std::uint64_t> of_a;
  for (const Lease& lease : cluster.leases)
    if (lease.job == "a") of_a.push_back(lease.worker);
  std::ranges::sort(of_a, std::greater());
  EXPECT_EQ(workers, (std::vector<std::uint64_t>{of_a[0], of_a[1]}));
  EXPECT_TRUE(planned.stopped.empty());
  EXPECT_TRUE(planned.plan.releases.empty());
  EXPECT_TRUE(cluster.settle_all());
  EXPECT_EQ(cluster.live("a"), 1U);
  EXPECT_EQ(cluster.live("b"), 1U);
}

TEST(Departures, CallAJobPreemptedThatHasTooManyWorkersAndLosesTheRestToAnother) {
  DrainedCluster cluster;
  cluster.add_node("n1", 4);
  cluster.add_job("scaled", {4, 4});
  cluster.settle();
  cluster.demand("scaled").workers = {2, 2};
  cluster.add_job("urgent", {4, 4});
  cluster.demand("urgent").priority = kHighPriority;
  const auto planned = cluster.plan_all();
  EXPECT_EQ(planned.departures.size(), 2U);
  EXPECT_EQ(planned.plan.releases.size(), 2U);
  EXPECT_EQ(planned.plan.preemptions, (std::vector<Preemption>{{"scaled", "urgent"}}));
  EXPECT_TRUE(planned.stopped.empty());
}

TEST(Departures, LeaveParameterServersToTheirOwnRule) {
  DrainedCluster cluster;
  cluster.add_node("n1", 2);
  cluster.add_job("a", {1, 1});
  cluster.leases.push_back({7, "a", "n1", 0, 0, false, Role::server});
  cluster.drain("n1");
  EXPECT_TRUE(cluster.plan_all().departures.empty());
}

TEST(Departures, EmptyEveryDrainedNodeAndLeaveNoBrokenGang) {
  std::size_t stayed = 0;
  for (std::uint32_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    DrainedCluster cluster;
    for (std::uint32_t i = 0; i < 2 + random() % 3; ++i)
      cluster.add_node("n" + std::to_string(i), 1 + random() % 4);
    for (std::uint32_t i = 0; i < 1 + random() % 5; ++i) {
      const std::uint32_t min = 1 + random() % 3;
      cluster.add_job("j" + std::to_string(i), {min, min + static_cast<std::uint32_t>(random() % 3)});
      Demand& demand = cluster.demands.back();
      demand.priority = 1 + random() % 3;
      demand.can_relocate = demand.workers.max > min;
      if (seed % 2 == 0 && random() % 3 == 0) demand.placement = PlacementRule::same_node;
    }
    cluster.settle();
    for (const NodeView& node : std::vector<NodeView>(cluster.nodes))
      if (random() % 3 == 0) cluster.drain(node.id);
    const auto planned = cluster.plan_all();
    const auto again = cluster.plan_all();
    EXPECT_EQ(planned.departures, again.departures);
    EXPECT_EQ(planned.plan, again.plan);
    auto after = cluster;
    after.carry_out_all(planned);
    // As long as others leave for it a gang may stay there.
    const bool is_any_leaving = !planned.plan.releases.empty();
    stayed += after.on_drained() > 0 ? 1 : 0;
    EXPECT_TRUE(after.on_drained() == 0 || is_any_leaving);
    for (const Demand& demand : cluster.demands) {
      const auto live = after.live(demand.job);
      EXPECT_TRUE(live == 0 || live >= demand.workers.min) << demand.job << " has " << live;
      if (live == 0 && cluster.live(demand.job) > 0) {
        const bool is_preempted = std::ranges::find(planned.plan.preemptions, demand.job, &Preemption::job) !=
                                  planned.plan.preemptions.end();
        EXPECT_TRUE(is_preempted || std::ranges::find(planned.stopped, demand.job) != planned.stopped.end());
      }
    }
    EXPECT_TRUE(cluster.settle_all());
    EXPECT_EQ(cluster.on_drained(), 0U);
  }
  EXPECT_GT(stayed, 20U);
}

TEST(DepartingServer, LeavesOneAtATimeOnceTheOthersHoldWhatItHas) {
  const auto server = [](std::uint64_t worker, const char* node, bool releasing = false) {
    return Lease{worker, "a", node, 0, 0, releasing, Role::server};
  };
  const std::vector<Lease> two{server(1, "n1"), server(2, "n1"), {3, "a", "n1"}};
  const std::vector<std::uint64_t> both{1, 2};
  EXPECT_EQ(choose_departing_server(two, both, 2, {}), std::nullopt);
  EXPECT_EQ(choose_departing_server(two, both, 2, {"n1"}), 1U);
  EXPECT_EQ(choose_departing_server(two, both, 2, {"n2"}), std::nullopt);
  // The first is still there, or its successor holds nothing yet.
  EXPECT_EQ(
      choose_departing_server(std::vector<Lease>{server(1, "n1", true), server(2, "n1")}, both, 2, {"n1"}),
      std::nullopt);
  const std::vector<Lease> next{server(2, "n1"), server(4, "n2")};
  EXPECT_EQ(choose_departing_server(next, both, 2, {"n1"}), std::nullopt);
  EXPECT_EQ(choose_departing_server(next, std::vector<std::uint64_t>{2, 4}, 2, {"n1"}), 2U);
  // The other one was lost, and nothing has taken its place yet.
  EXPECT_EQ(choose_departing_server(std::vector<Lease>{server(2, "n1")}, both, 2, {"n1"}), std::nullopt);
  EXPECT_EQ(choose_departing_server(std::vector<Lease>{server(2, "n1")}, both, 1, {"n1"}), 2U);
}

}  // namespace
}  // namespace ds::scheduler
