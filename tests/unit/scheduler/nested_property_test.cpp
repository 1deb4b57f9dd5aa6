// Random trees of queues below tenants, on random clusters.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"
#include "tests/unit/scheduler/tenant_expectations.hpp"

namespace ds::scheduler {
namespace {

using testing::add_kept_minimums;
using testing::are_gpus_guaranteed;
using testing::below;
using testing::ClusterModel;
using testing::count_fixed_that_borrow;
using testing::count_fixed_that_wait;
using testing::count_gpus;
using testing::count_gpus_had_back;
using testing::count_gpus_used;
using testing::count_slots;
using testing::count_used;
using testing::expect_fair_preemptions;
using testing::expect_guarantees_can_be_had_back;
using testing::expect_quotas_kept;
using testing::make_some_fixed;
using testing::Random;
using testing::Seeds;

/// Three tenants, of which one has queues at two levels; some keep more for themselves than for their queues.
/// In a fourth of them a third of its queues, `z`, is guaranteed nothing.
TenantTree random_nested_queues(Random& random, std::uint64_t slots) {
  TenantTree tree;
  const auto add = [&](const std::string& name, std::size_t parent, std::uint64_t guaranteed) {
    tree.queues[parent].is_leaf = false;
    tree.queues.push_back(
        {.name = name, .parent = parent, .depth = tree[parent].depth + 1, .guaranteed = guaranteed});
    QueueSpec& queue = tree.queues.back();
    if (below(random, 4) == 0) queue.borrowing_limit = below(random, 4);
    if (parent == 0 && below(random, 4) == 0) queue.lending_limit = below(random, guaranteed + 1);
    queue.weight = 1 + static_cast<double>(below(random, 3));
    return std::pair(tree.queues.size() - 1, guaranteed);
  };
  const auto part_of = [&](std::uint64_t all) { return below(random, all + 1); };
  const auto [a, all] = add("a", 0, slots / 2 + part_of(slots / 4));
  const auto [x, of_x] = add("x", a, all / 2 + part_of(all / 2));
  const std::uint64_t of_p = add("p", x, part_of(of_x)).second;
  add("q", x, part_of(of_x - of_p));
  add("y", a, part_of(all - of_x));
  add("b", 0, part_of(slots - all));
  add("c", 0, 0);
  if (Random more = testing::beside(random); below(more, 4) == 0) {
    tree.queues.push_back({.name = "z", .parent = a, .depth = 2});
    if (below(more, 4) == 0) tree.queues.back().borrowing_limit = below(more, 4);
  }
  return tree;
}

void add_nested_job(ClusterModel& cluster, Random& random, int number) {
  const auto min = static_cast<std::uint32_t>(1 + below(random, 3));
  cluster.add_job("job" + std::to_string(number), {min, min});
  Demand& demand = cluster.demands.back();
  demand.order = static_cast<std::uint64_t>(number);
  static constexpr std::uint32_t kPriorities[] = {kLowPriority, kNormalPriority, kHighPriority};
  demand.priority = kPriorities[below(random, 3)];
  if (demand.priority == kLowPriority) demand.workers.max += static_cast<std::uint32_t>(below(random, 4));
  if (below(random, 2) == 0) demand.lasts_ms = 10'000 * static_cast<std::int64_t>(1 + below(random, 20));
  const char* tenants[] = {"a", "a", "a", "b", "c"};
  const char* queues[] = {"p", "q", "y", "default", "default"};
  const auto leaf = below(random, 5);
  demand.tenant = tenants[leaf];
  demand.queue = queues[leaf];
  Random more = testing::beside(random);
  if (!cluster.tenants.find("a", "z") || below(more, 4) > 0) return;
  demand.tenant = "a";
  demand.queue = "z";
}

/// At rest nobody waits who is first in its queue and whose minimum that could have within what it is
/// guaranteed itself, whatever others of its tenant have borrowed and whoever else waits.
void expect_leaf_guarantees_met(const ClusterModel& cluster, const Plan& plan) {
  auto used = count_used(cluster);
  auto gpus = count_gpus_used(cluster);
  add_kept_minimums(cluster, used, gpus);
  for (const Wait& wait : plan.waits) {
    const Demand& demand = cluster.demand(wait.job);
    const std::size_t leaf = cluster.tenants.find(demand.tenant, demand.queue).value();
    const bool is_counted = !demand.preemptible && cluster.live(demand.job) > 0;
    const SlotCount lacks = is_counted ? 0 : demand.workers.min - cluster.live(demand.job);
    const bool is_first = std::ranges::none_of(plan.waits, [&](const Wait& other) {
      const Demand& one = cluster.demand(other.job);
      const bool same = one.tenant == demand.tenant && one.queue == demand.queue;
      return same && std::tie(one.priority, demand.order) > std::tie(demand.priority, one.order);
    });
    const QueueSpec& spec = cluster.tenants[leaf];
    // As in `expect_guarantees_met`.
    const bool has_gpus_left =
        !are_gpus_guaranteed(cluster.tenants) ||
        gpus[leaf] + (is_counted
                          ? 0
                          : std::uint64_t{demand.workers.min - cluster.live(demand.job)} * demand.gpus) <=
            spec.guaranteed_gpus;
    EXPECT_FALSE(is_first && has_gpus_left && used[leaf] + lacks <= spec.guaranteed)
        << wait.job << " could have its minimum within what " << cluster.tenants.full_name(leaf)
        << " is guaranteed";
  }
}

/// Preemptions for a job from a sister of its queue, while a job of another tenant waits.
std::size_t count_taken_from_sisters(const ClusterModel& cluster, const Plan& plan) {
  return static_cast<std::size_t>(std::ranges::count_if(plan.preemptions, [&](const Preemption& one) {
    const Demand& victim = cluster.demand(one.job);
    const Demand& by = cluster.demand(one.by);
    return victim.tenant == by.tenant && victim.queue != by.queue &&
           std::ranges::any_of(
               plan.waits, [&](const Wait& wait) { return cluster.demand(wait.job).tenant != by.tenant; });
  }));
}

/// Time goes on, a job comes, and perhaps one ends and a worker is lost.
void change_nested(ClusterModel& cluster, Random& random, int event, bool are_some_fixed, bool want_gpus) {
  cluster.go_on_until(cluster.now_ms + static_cast<std::int64_t>(below(random, 10'000)));
  add_nested_job(cluster, random, event);
  if (Random gpus = testing::beside(random); want_gpus && below(gpus, 2) == 0)
    cluster.demands.back().gpus = 1;
  if (are_some_fixed) make_some_fixed(cluster, random);
  if (below(random, 5) == 0)
    cluster.end_job(std::string(cluster.demands[below(random, cluster.demands.size())].job));
  if (!cluster.leases.empty() && below(random, 6) == 0)
    cluster.lose_worker(cluster.leases[below(random, cluster.leases.size())].worker);
}

/// The same where GPUs are guaranteed as well, on one node.
TEST(TenantProperty, NestedQueuesHaveTheirGuaranteesOfGpusAtRestWhoeverWaits) {
  std::size_t taken_from_sisters = 0, had_back = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    const auto slots = static_cast<std::uint32_t>(6 + below(random, 9));
    cluster.add_gpu_node("n", slots, static_cast<std::uint32_t>(2 + below(random, slots / 2)), "NVIDIA H200");
    cluster.tenants = random_nested_queues(random, slots);
    testing::guarantee_random_gpus(cluster.tenants, testing::beside(random), count_gpus(cluster));
    for (int event = 0; event < 14; ++event) {
      change_nested(cluster, random, event, seed % 2 == 1, true);
      const int rounds = cluster.settle(60, [&](const Plan& plan) {
        expect_fair_preemptions(cluster, plan);
        taken_from_sisters += count_taken_from_sisters(cluster, plan);
        had_back += count_gpus_had_back(cluster, plan);
      });
      ASSERT_LT(rounds, 60) << "seed " << seed << ", event " << event << ": no rest";
      expect_quotas_kept(cluster);
      if (are_gpus_guaranteed(cluster.tenants)) expect_leaf_guarantees_met(cluster, cluster.plan());
      expect_guarantees_can_be_had_back(cluster, true);
      if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(taken_from_sisters, 100U);
  EXPECT_GT(had_back, 50U);
}

TEST(TenantProperty, NestedQueuesHaveTheirGuaranteesAtRestWhoeverWaits) {
  std::size_t taken_from_sisters = 0, fixed_borrow = 0, fixed_wait = 0;
  const Seeds seeds(800);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    const auto nodes = 1 + below(random, 3);
    for (std::uint64_t i = 0; i < nodes; ++i)
      cluster.add_node("n" + std::to_string(i), static_cast<std::uint32_t>(2 + below(random, 4)));
    cluster.tenants = random_nested_queues(random, count_slots(cluster));
    for (int event = 0; event < 14; ++event) {
      change_nested(cluster, random, event, seed % 2 == 1, false);
      const int rounds = cluster.settle(60, [&](const Plan& plan) {
        expect_fair_preemptions(cluster, plan);
        taken_from_sisters += count_taken_from_sisters(cluster, plan);
        fixed_borrow += count_fixed_that_borrow(cluster, plan);
        fixed_wait += count_fixed_that_wait(plan);
      });
      ASSERT_LT(rounds, 60) << "seed " << seed << ", event " << event << ": no rest";
      expect_quotas_kept(cluster);
      expect_leaf_guarantees_met(cluster, cluster.plan());
      expect_guarantees_can_be_had_back(cluster);
      if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(taken_from_sisters, 100U);
  EXPECT_GT(fixed_borrow, 100U);
  EXPECT_GT(fixed_wait, 300U);
}

}  // namespace
}  // namespace ds::scheduler
