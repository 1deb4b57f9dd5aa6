// Workers that go to other nodes, so that there is room for one that waits: its slots are free, but
// scattered.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/counted_room.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

class Relocating : public ::testing::Test {
 protected:
  Demand& add_elastic(const std::string& job, WorkerCount workers, std::vector<std::string> nodes) {
    cluster_.add_job(job, workers);
    cluster_.demands.back().can_relocate = true;
    for (const std::string& node : nodes) cluster_.start_worker(job, node);
    return cluster_.demands.back();
  }
  Demand& add_gang(const std::string& job, std::uint32_t workers) {
    cluster_.add_job(job, {workers, workers});
    cluster_.demands.back().placement = PlacementRule::same_node;
    return cluster_.demands.back();
  }
  static std::shared_ptr<const SpeedCurve> resize_of(double seconds) {
    return std::make_shared<const SpeedCurve>(SpeedCurve{1, {0, 0.6, 1}, seconds});
  }
  ClusterModel cluster_;
};

TEST_F(Relocating, MakesRoomOnOneNodeThatTwoHaveTogether) {
  cluster_.add_node("n1", 2);
  cluster_.add_node("n2", 2);
  add_elastic("a", {1, 2}, {"n1"});
  add_elastic("b", {1, 2}, {"n2"});
  add_gang("gang", 2);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.relocations, (std::vector<Relocation>{{"a", 1, "n1", "n2", "gang", true}}));
  EXPECT_EQ(plan.releases, (std::vector<Release>{{"a", 1}}));
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"a", "n2", 1}}));
  EXPECT_EQ(codes_of(plan, "gang"), std::vector<std::string>{"topology"});
  EXPECT_EQ(
      text_of(plan, "gang"),
      "needs 2 workers of 1 slot each on one node, and the node with the most room has it for 1 now, all "
      "nodes together for 2; it starts when 1 worker that is stopping is gone; for that a worker of job a "
      "moves from node n1 to node n2");
  cluster_.carry_out(plan);
  EXPECT_EQ(cluster_.live("a"), 1U);
  const Plan next = cluster_.plan();
  EXPECT_TRUE(next.releases.empty() && next.placements.empty()) << "nobody has the room that is being made";
  cluster_.finish_releases();
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"gang", "n1", 2}}));
}

TEST_F(Relocating, ShrinksFirstWhoIsInTheWayAndBeginsWhenThatIsThrough) {
  cluster_.add_node("n1", 2);
  cluster_.add_node("n2", 2);
  add_elastic("a", {1, 2}, {"n1", "n1"});
  add_elastic("b", {1, 2}, {"n2", "n2"});
  add_gang("gang", 2);
  const Plan shrink = cluster_.plan();
  EXPECT_EQ(shrink.releases.size(), 2U);
  EXPECT_TRUE(shrink.placements.empty());
  ASSERT_EQ(shrink.relocations.size(), 1U);
  EXPECT_FALSE(shrink.relocations.front().has_begun);
  cluster_.carry_out(shrink);
  const Plan waits = cluster_.plan();
  EXPECT_TRUE(waits.releases.empty() && waits.placements.empty());
  EXPECT_EQ(waits.relocations, shrink.relocations);
  cluster_.finish_releases();
  const Plan move = cluster_.plan();
  ASSERT_EQ(move.relocations.size(), 1U);
  EXPECT_TRUE(move.relocations.front().has_begun);
  EXPECT_EQ(move.releases.size(), 1U) << "nobody is shrunk any more";
  cluster_.carry_out(move);
  cluster_.finish_releases();
  cluster_.settle();
  EXPECT_EQ(cluster_.live("gang"), 2U);
  EXPECT_EQ(cluster_.live("a") + cluster_.live("b"), 2U);
}

TEST_F(Relocating, ShrinksNobodyWhoIsInNobodysWay) {
  for (const char* node : {"n1", "n2", "n3"}) cluster_.add_node(node, 2);
  add_elastic("a", {1, 2}, {"n1", "n1"});
  add_elastic("b", {1, 2}, {"n2", "n2"});
  add_elastic("c", {1, 2}, {"n3", "n3"});
  add_gang("gang", 2);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.releases.size(), 2U) << "one on the gang's node, and one where a's worker goes";
  EXPECT_EQ(plan.relocations.size(), 1U);
}

TEST_F(Relocating, ComesBeforePreemption) {
  cluster_.add_node("n1", 2);
  cluster_.add_node("n2", 2);
  add_elastic("a", {1, 2}, {"n1"});
  add_elastic("b", {1, 2}, {"n2"});
  add_gang("gang", 2).priority = kCriticalPriority;
  const Plan plan = cluster_.plan();
  EXPECT_TRUE(plan.preemptions.empty());
  EXPECT_EQ(plan.relocations.size(), 1U);
}

TEST_F(Relocating, TakesWhoStandsStillForTheFewestSlotSeconds) {
  for (const char* node : {"n1", "n2", "n3"}) cluster_.add_node(node, 2);
  add_elastic("a", {1, 2}, {"n1"}).curve = resize_of(5);
  add_elastic("b", {1, 2}, {"n2"}).curve = resize_of(2);
  add_elastic("wide", {2, 3}, {"n3", "n3"}).curve = resize_of(1.5);
  add_gang("gang", 2);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.relocations, (std::vector<Relocation>{{"b", 2, "n2", "n1", "gang", true}}));
}

TEST_F(Relocating, DoesNotPayForAGangThatIsOverSoonOrWhereRoomComesAnyway) {
  cluster_.add_node("n1", 2);
  cluster_.add_node("n2", 2);
  add_elastic("a", {1, 2}, {"n1"}).curve = resize_of(20);
  add_elastic("b", {1, 2}, {"n2"}).curve = resize_of(20);
  add_gang("gang", 2).lasts_ms = 9'000;
  EXPECT_TRUE(cluster_.plan().relocations.empty()) << "2 slots for 9 s are less than 1 slot for 20 s";
  cluster_.demand("gang").lasts_ms = 11'000;
  EXPECT_EQ(cluster_.plan().relocations.size(), 1U);
  cluster_.demand("b").ends_ms = cluster_.now_ms + 9'000;
  EXPECT_TRUE(cluster_.plan().relocations.empty()) << "b ends in 9 s";
  cluster_.demand("b").ends_ms = 0;
  cluster_.demand("a").left_s = cluster_.demand("b").left_s = 9;
  EXPECT_TRUE(cluster_.plan().relocations.empty()) << "both are through in 9 s";
}

TEST_F(Relocating, LeavesThoseWhereTheyAreWhoMayNotGo) {
  cluster_.add_node("n1", 2);
  cluster_.add_node("n2", 2);
  add_elastic("a", {1, 2}, {"n1"});
  add_elastic("b", {1, 2}, {"n2"});
  add_gang("gang", 2);
  const auto none_with = [&](auto change) {
    const ClusterModel before = cluster_;
    for (const char* job : {"a", "b"}) change(cluster_.demand(job));
    const bool is_none = cluster_.plan().relocations.empty();
    cluster_ = before;
    return is_none;
  };
  EXPECT_FALSE(none_with([](Demand&) {}));
  EXPECT_TRUE(none_with([](Demand& one) { one.can_relocate = false; }));
  EXPECT_TRUE(none_with([](Demand& one) { one.preemptible = false; }));
  EXPECT_TRUE(none_with([](Demand& one) { one.is_new_there = true; }));
  EXPECT_TRUE(none_with([](Demand& one) { one.priority = kHighPriority; }));
  EXPECT_TRUE(none_with([](Demand& one) { one.has_promise = true; }));
  EXPECT_TRUE(none_with([](Demand& one) { one.workers.min = 2; })) << "it has not its minimum itself";
  cluster_.demand("gang").priority = kCriticalPriority;
  EXPECT_FALSE(none_with([](Demand& one) { one.is_new_there = true; }));
}

TEST_F(Relocating, ACriticalJobOfAnotherQueueDoesNotMoveWhoHasJustMoved) {
  cluster_.add_node("n1", 2);
  cluster_.add_node("n2", 2);
  TenantTree tree;
  tree.queues[0].is_leaf = false;
  tree.queues.push_back({.name = "mine", .depth = 1, .guaranteed = 2});
  tree.queues.push_back({.name = "theirs", .depth = 1, .guaranteed = 2});
  cluster_.tenants = tree;
  for (const auto& [job, node] : {std::pair("a", "n1"), std::pair("b", "n2")}) {
    cluster_.add_job(job, {1, 2});
    cluster_.demands.back().can_relocate = cluster_.demands.back().is_new_there = true;
    cluster_.demands.back().tenant = "mine";
    cluster_.start_worker(job, node);
  }
  add_gang("gang", 2).tenant = "theirs";
  cluster_.demand("gang").priority = kCriticalPriority;
  EXPECT_TRUE(cluster_.plan().relocations.empty());
  for (const char* job : {"a", "b"}) cluster_.demand(job).is_new_there = false;
  EXPECT_EQ(cluster_.plan().relocations.size(), 1U);
}

TEST_F(Relocating, NeverHasMoreThanItsQueueMayHaveNotEvenForAMoment) {
  cluster_.add_node("n1", 2);
  cluster_.add_node("n2", 2);
  TenantTree tree;
  tree.queues[0].is_leaf = false;
  tree.queues.push_back({.name = "small", .depth = 1, .guaranteed = 2, .borrowing_limit = 0});
  tree.queues.push_back({.name = "large", .depth = 1, .guaranteed = 2});
  cluster_.tenants = tree;
  for (const auto& [job, node] : {std::pair("a", "n1"), std::pair("b", "n2")}) {
    cluster_.add_job(job, {1, 2});
    cluster_.demands.back().can_relocate = true;
    cluster_.demands.back().tenant = "small";
    cluster_.start_worker(job, node);
  }
  add_gang("gang", 2).tenant = "large";
  EXPECT_TRUE(cluster_.plan().relocations.empty()) << "old and new together would be 3 slots";
  cluster_.tenants.queues[1].guaranteed = 3;
  cluster_.tenants.queues[2].guaranteed = 1;
  EXPECT_EQ(cluster_.plan().relocations.size(), 1U);
}

TEST_F(Relocating, MovesSeveralWhereOneIsNotEnough) {
  cluster_.add_node("n1", 4);
  cluster_.add_node("n2", 4);
  cluster_.add_node("n3", 4);
  add_elastic("a", {1, 2}, {"n1"});
  add_elastic("b", {1, 2}, {"n1"});
  add_elastic("c", {3, 4}, {"n2", "n2", "n2"});
  cluster_.add_job("fixed", {2, 2});
  for (int i = 0; i < 2; ++i) cluster_.start_worker("fixed", "n3");
  add_gang("gang", 4);
  const Plan plan = cluster_.plan();
  ASSERT_EQ(plan.relocations.size(), 2U);
  for (const Relocation& one : plan.relocations)
    EXPECT_EQ(one.from, "n1") << "two slots stand still, not c's";
  cluster_.settle();
  EXPECT_EQ(cluster_.live_on("gang", "n1"), 4U);
}

TEST_F(Relocating, MakesRoomForWideWorkersOfAGangToo) {
  for (const char* node : {"n1", "n2", "n3", "n4"}) cluster_.add_node(node, 2);
  for (const auto& [job, node] :
       {std::pair("a", "n1"), std::pair("b", "n2"), std::pair("c", "n3"), std::pair("d", "n4")})
    add_elastic(job, {1, 2}, {node});
  cluster_.add_job("gang", {2, 2}, 2);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.relocations.size(), 2U);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("gang"), 2U);
}

double stall_of(const ClusterModel& cluster, const std::string& job) {
  const Demand& demand = cluster.demand(job);
  return resize_cost_s(demand) * (cluster.live(job) * demand.slots).number();
}

/// What the cheapest set of jobs costs whose workers of one slot leave a node, into what is free.
double cheapest(const ClusterModel& cluster, const Demand& waiting) {
  const SlotCount needed = waiting.workers.min * waiting.slots;
  auto use = count_use(cluster, {});
  double best = std::numeric_limits<double>::infinity();
  for (const NodeView& node : cluster.nodes) {
    std::vector<std::string> jobs;
    for (const Demand& one : cluster.demands) {
      const bool may = one.slots == 1 && one.can_relocate && one.preemptible && !one.is_new_there &&
                       one.placement != PlacementRule::same_node && one.priority <= waiting.priority &&
                       one.left_s == 0;  // of others it may not pay
      if (may && cluster.live_on(one.job, node.id) > 0) jobs.push_back(one.job);
    }
    SlotCount elsewhere;
    for (const NodeView& other : cluster.nodes)
      elsewhere += other.id == node.id ? SlotCount() : other.slots - use[other.id].slots;
    const SlotCount free = node.slots - use[node.id].slots;
    for (unsigned set = 1; set < 1U << jobs.size(); ++set) {
      double cost = 0;
      std::uint64_t workers = 0;
      for (std::size_t i = 0; i < jobs.size(); ++i) {
        if ((set >> i & 1U) == 0) continue;
        cost += stall_of(cluster, jobs[i]);
        workers += cluster.live_on(jobs[i], node.id);
      }
      if (node.slots >= needed && free + workers >= needed && needed - std::min(needed, free) <= elsewhere)
        best = std::min(best, cost);
    }
  }
  return best;
}

void expect_sound(const ClusterModel& cluster, const Plan& plan) {
  EXPECT_EQ(plan, cluster.plan()) << "equal input, equal plan";
  for (const Relocation& one : plan.relocations) {
    const auto lease = std::ranges::find(cluster.leases, one.worker, &Lease::worker);
    ASSERT_NE(lease, cluster.leases.end());
    EXPECT_TRUE(lease->job == one.job && lease->node == one.from && !lease->releasing && one.from != one.to);
    const Demand& demand = cluster.demand(one.job);
    const Demand& by = cluster.demand(one.by);
    EXPECT_TRUE(demand.can_relocate && demand.preemptible && !demand.has_promise) << one.job;
    const bool is_urgent =
        demand.queue == by.queue && demand.tenant == by.tenant && by.priority >= kCriticalPriority;
    EXPECT_TRUE(!demand.is_new_there || is_urgent) << one.job;
    EXPECT_TRUE(waits(plan, one.by)) << one.by;
    EXPECT_EQ(std::ranges::count(plan.releases, one.worker, &Release::worker), one.has_begun ? 1 : 0);
    EXPECT_EQ(
        std::ranges::count_if(plan.placements,
                              [&](const Placement& p) { return p.job == one.job && p.node == one.to; }) > 0,
        one.has_begun);
  }
}

/// Nobody has more than its queue may have, no node more than it has; those that are leaving count.
void expect_limits_kept(const ClusterModel& cluster) {
  for (const auto& [node, use] : count_use(cluster, {})) {
    const auto view = std::ranges::find(cluster.nodes, node, &NodeView::id);
    EXPECT_TRUE(use.fits(*view)) << node;
  }
  std::vector<SlotCount> used(cluster.tenants.queues.size());
  for (const Lease& lease : cluster.leases) {
    std::size_t queue = cluster.tenants.find(lease.tenant, lease.queue).value_or(0);
    for (; queue != 0; queue = cluster.tenants[queue].parent) used[queue] += lease.slots;
  }
  for (std::size_t i = 1; i < used.size(); ++i) {
    if (const auto most = cluster.tenants[i].most()) {
      EXPECT_LE(used[i], *most) << cluster.tenants.full_name(i);
    }
  }
}

struct SeenMoves {
  std::size_t begun = 0, put_off = 0, started = 0, cheapest = 0;
};

/// Until nothing changes, workers leaving one by one: at most one set of relocations begins for each job, and
/// then it starts; it may be preempted afterwards.
void follow(ClusterModel& cluster, Random& random, SeenMoves& seen) {
  std::set<std::string> served, started;
  const bool has_parts =
      std::ranges::any_of(cluster.demands, [](const Demand& one) { return !one.slots.is_whole(); });
  int round = 0;
  for (; round < 80; ++round) {
    const Plan plan = cluster.plan();
    expect_sound(cluster, plan);
    const bool is_idle = std::ranges::none_of(cluster.leases, &Lease::releasing);
    if (is_idle && plan.releases.empty() && plan.placements.empty()) {
      EXPECT_TRUE(plan.relocations.empty()) << "it waits for what does not come";
      break;
    }
    std::set<std::string> begun, moved;
    for (const Relocation& one : plan.relocations) {
      (one.has_begun ? begun : moved).insert(one.by);
      if (one.has_begun) moved.insert(one.job);
      ++(one.has_begun ? seen.begun : seen.put_off);
    }
    for (const std::string& job : begun) {
      EXPECT_TRUE(served.insert(job).second) << "for " << job << " workers move twice";
      const Demand& demand = cluster.demand(job);
      const bool is_one_piece = demand.workers.min == 1 || demand.placement == PlacementRule::same_node;
      if (begun.size() > 1 || plan.releases.size() != plan.relocations.size() ||
          plan.placements.size() != plan.relocations.size() || !is_idle || !is_one_piece ||
          demand.priority >= kCriticalPriority || cluster.tenants.has_tenants() || has_parts)
        continue;
      double cost = 0;
      std::set<std::string> jobs;
      for (const Relocation& one : plan.relocations)
        if (jobs.insert(one.job).second) cost += stall_of(cluster, one.job);
      EXPECT_LE(cost, cheapest(cluster, demand) + 1e-9) << job;
      ++seen.cheapest;
    }
    cluster.carry_out(plan);
    for (const std::string& job : served) {
      if (cluster.live(job) >= cluster.demand(job).workers.min) started.insert(job);
    }
    for (const Demand& one : cluster.demands) {
      if (moved.contains(one.job) && !begun.contains(one.job) && cluster.live(one.job) > 0) {
        EXPECT_GE(cluster.live(one.job), one.workers.min) << one.job;
      }
    }
    expect_limits_kept(cluster);
    if (::testing::Test::HasFailure()) return;
    std::erase_if(cluster.leases,
                  [&](const Lease& lease) { return lease.releasing && below(random, 2) == 0; });
  }
  EXPECT_LT(round, 80) << "it does not come to rest";
  for (const std::string& job : served) {
    EXPECT_TRUE(started.contains(job)) << "room was made for " << job;
    ++seen.started;
  }
}

void add_random_elastic(ClusterModel& cluster, Random& random, int number) {
  const std::uint32_t kind = between(random, 0, 3);
  const std::uint32_t min = kind == 0 ? between(random, 2, 4) : 1;
  cluster.add_job("job" + std::to_string(number), {min, kind == 0 ? min : min + between(random, 0, 2)},
                  kind == 1 ? between(random, 2, 3) : 1);
  Demand& demand = cluster.demands.back();
  demand.order = static_cast<std::uint64_t>(number);
  if (kind == 0) demand.placement = PlacementRule::same_node;
  static constexpr std::uint32_t kPriorities[] = {kNormalPriority, kNormalPriority, kNormalPriority,
                                                  kHighPriority, kCriticalPriority};
  demand.priority = kPriorities[between(random, 0, 4)];
  add_random_curve(demand, random);
  demand.can_relocate = demand.workers.max > demand.workers.min;
  demand.is_new_there = between(random, 0, 5) == 0;
  if (cluster.has_parts) {
    Random parts = beside(random);
    demand.slots = kind == 1 ? random_part(parts) : SlotCount::of_thousandths(500);
  }
  demand.preemptible = between(random, 0, 7) != 0;
  if (between(random, 0, 2) == 0) demand.lasts_ms = 10'000 * between(random, 1, 60);
}

TEST(RelocationProperty, EachSetOfMovesIsFollowedByAStartAndNoLimitIsPassedMeanwhile) {
  SeenMoves seen;
  const Seeds seeds(3000);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    cluster.has_parts = seed % 4 == 1;
    std::uint32_t slots = 0;
    for (std::uint32_t node = between(random, 2, 4); node > 0; --node) {
      cluster.add_node("node" + std::to_string(node), between(random, 2, 4));
      slots += cluster.nodes.back().slots;
    }
    if (seed % 3 == 0) cluster.tenants = random_tenants(random, slots);
    for (int event = 0; event < 14; ++event) {
      add_random_elastic(cluster, random, event);
      if (cluster.tenants.has_tenants()) cluster.demands.back().tenant = below(random, 2) == 0 ? "a" : "b";
      if (below(random, 2) == 0)
        cluster.end_job(std::string(cluster.demands[below(random, cluster.demands.size())].job));
      cluster.go_on_until(cluster.now_ms + static_cast<std::int64_t>(below(random, 20'000)));
      follow(cluster, random, seen);
      if (::testing::Test::HasFailure()) FAIL() << "seed " << seed << ", event " << event;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(seen.begun, 300U);
  EXPECT_GT(seen.put_off, 200U);
  EXPECT_GT(seen.started, 250U);
  EXPECT_GT(seen.cheapest, 100U);
}

/// Every cluster of two or three small nodes with three jobs of every shape that one worker of each of the
/// first two is anywhere on: it comes to rest, and who had room made for it runs.
TEST(RelocationProperty, NoSmallClusterMovesForEver) {
  struct Shape {
    WorkerCount workers;
    SlotCount slots;
    PlacementRule rule;
  };
  constexpr std::array<Shape, 7> kShapes{{{{1, 2}, 1, PlacementRule::pack},
                                          {{1, 3}, 1, PlacementRule::spread},
                                          {{2, 3}, 1, PlacementRule::pack},
                                          {{2, 2}, 1, PlacementRule::same_node},
                                          {{3, 3}, 1, PlacementRule::same_node},
                                          {{1, 2}, 2, PlacementRule::pack},
                                          {{1, 2}, SlotCount::of_thousandths(500), PlacementRule::pack}}};
  constexpr std::array<std::uint32_t, 2> kPriorities{kNormalPriority, kHighPriority};
  constexpr int kKinds = kShapes.size() * kPriorities.size();
  const std::vector<std::vector<std::uint32_t>> node_sets{{2, 2}, {3, 3}, {2, 2, 2}, {1, 2, 3}};
  SeenMoves seen;
  Random random(11);
  for (int code = 0; code < kKinds * kKinds * kKinds; ++code) {
    for (const auto& sizes : node_sets) {
      for (std::size_t at = 0; at < sizes.size() * sizes.size(); ++at) {
        ClusterModel cluster;
        for (std::size_t i = 0; i < sizes.size(); ++i) cluster.add_node("n" + std::to_string(i), sizes[i]);
        for (int job = 0, rest = code; job < 3; ++job, rest /= kKinds) {
          const Shape& shape = kShapes[static_cast<std::size_t>(rest % kKinds) % kShapes.size()];
          cluster.add_job(std::string(1, static_cast<char>('a' + job)), shape.workers, shape.slots);
          Demand& demand = cluster.demands.back();
          demand.placement = shape.rule;
          demand.priority = kPriorities[static_cast<std::size_t>(rest % kKinds) / kShapes.size()];
          demand.can_relocate = shape.workers.max > shape.workers.min;
        }
        bool fits = true;
        for (int job = 0; job < 2; ++job) {  // the third comes when these run
          const auto node = "n" + std::to_string(job == 0 ? at % sizes.size() : at / sizes.size());
          const Demand& demand = cluster.demands[static_cast<std::size_t>(job)];
          for (std::uint32_t i = 0; i < demand.workers.min; ++i) {
            cluster.start_worker(demand.job, node);
            fits = fits && count_use(cluster, {})[node].fits(cluster.node(node));
          }
        }
        if (!fits) continue;
        if (code % 2 == 1) cluster.settle_alone(3);
        follow(cluster, random, seen);
        if (::testing::Test::HasFailure()) FAIL() << "jobs " << code << ", nodes at " << at;
      }
    }
  }
  EXPECT_GT(seen.begun, 300U);
  EXPECT_GT(seen.put_off, 100U);
}

}  // namespace
}  // namespace ds::scheduler
