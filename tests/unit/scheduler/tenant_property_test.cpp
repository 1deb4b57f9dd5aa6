// Random tenants on random clusters, and all small ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"
#include "tests/unit/scheduler/tenant_expectations.hpp"

namespace ds::scheduler {
namespace {

using testing::below;
using testing::ClusterModel;
using testing::count_fixed_that_borrow;
using testing::count_fixed_that_wait;
using testing::count_gpus;
using testing::count_gpus_had_back;
using testing::count_gpus_used;
using testing::count_slots;
using testing::expect_fair_preemptions;
using testing::expect_gpu_quotas_keep_gpus_only;
using testing::expect_guarantees_can_be_had_back;
using testing::expect_guarantees_met;
using testing::expect_nothing_idle;
using testing::expect_quotas_kept;
using testing::make_some_fixed;
using testing::Random;
using testing::random_tenants;
using testing::Seeds;

void add_tenants_job(ClusterModel& cluster, Random& random, int number) {
  const auto min = static_cast<std::uint32_t>(1 + below(random, 4));
  const auto max = min + static_cast<std::uint32_t>(below(random, 2) * below(random, 5));
  cluster.add_job("job" + std::to_string(number), {min, max});
  Demand& demand = cluster.demands.back();
  demand.order = static_cast<std::uint64_t>(number);
  static constexpr std::uint32_t kPriorities[] = {kLowPriority, kNormalPriority, kHighPriority};
  demand.priority = kPriorities[below(random, 3)];
  if (below(random, 2) == 0) demand.lasts_ms = 10'000 * static_cast<std::int64_t>(1 + below(random, 20));
  const char* tenants[] = {"a", "b", "c", "c"};
  const char* queues[] = {"default", "default", "x", "y"};
  const auto leaf = below(random, 4);
  demand.tenant = tenants[leaf];
  demand.queue = queues[leaf];
  Random gpus = testing::beside(random);
  if (testing::has_gpus(cluster) && below(gpus, 2) == 0) demand.gpus = 1;
}

TEST(TenantProperty, QuotasHoldAtEveryDecisionAndGuaranteesAreMetAtRest) {
  std::size_t fixed_borrow = 0, fixed_wait = 0, preemptions = 0, waits_for_quota = 0, waits_for_gpus = 0,
              waits_for_turn = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    const auto nodes = 1 + below(random, 3);
    for (std::uint64_t i = 0; i < nodes; ++i)
      cluster.add_node("n" + std::to_string(i), static_cast<std::uint32_t>(1 + below(random, 6)));
    if (seed % 2 == 0) {
      for (NodeView& node : cluster.nodes) testing::add_random_gpus(node, testing::beside(random));
    }
    cluster.tenants = random_tenants(random, count_slots(cluster));
    for (int event = 0; event < 12; ++event) {
      cluster.go_on_until(cluster.now_ms + static_cast<std::int64_t>(below(random, 20'000)));
      add_tenants_job(cluster, random, event);
      Random parts = testing::beside(random);
      if (seed % 4 >= 2) make_some_fixed(cluster, parts);
      if (seed % 5 == 1) cluster.demands.back().slots = testing::random_part(parts);
      if (seed % 5 == 2) cluster.demands.back().slots = SlotCount::of_thousandths(500);
      if (below(random, 3) == 0)
        cluster.end_job(std::string(cluster.demands[below(random, cluster.demands.size())].job));
      if (!cluster.leases.empty() && below(random, 4) == 0)
        cluster.lose_worker(cluster.leases[below(random, cluster.leases.size())].worker);
      int rounds = 0;
      for (; rounds < 60; ++rounds) {
        const Plan plan = cluster.plan();
        expect_fair_preemptions(cluster, plan);
        preemptions += plan.preemptions.size();
        fixed_borrow += count_fixed_that_borrow(cluster, plan);
        fixed_wait += count_fixed_that_wait(plan);
        if (plan.releases.empty() && plan.placements.empty()) break;
        cluster.carry_out(plan);
        expect_quotas_kept(cluster);
        if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
        if (below(random, 2) == 0) cluster.finish_releases();
      }
      cluster.finish_releases();
      ASSERT_LE(cluster.settle(), 60) << "seed " << seed << ", event " << event << ": no rest";
      const Plan rest = cluster.plan();
      ASSERT_EQ(rest, cluster.plan());
      ASSERT_TRUE(rest.releases.empty());
      expect_guarantees_can_be_had_back(cluster);
      if (seed % 5 != 1 || nodes == 1) {  // else what is free may be scattered
        expect_guarantees_met(cluster, rest);
        expect_nothing_idle(cluster, rest);
      }
      expect_gpu_quotas_keep_gpus_only(rest, cluster);
      for (const Wait& wait : rest.waits) {
        for (const Reason& reason : wait.reasons) {
          waits_for_quota += reason.code == "quota_tenant" ? 1 : 0;
          waits_for_gpus +=
              reason.code == "quota_tenant" && reason.text.find("GPU") != std::string::npos ? 1 : 0;
          waits_for_turn += reason.code == "fair_share_turn" ? 1 : 0;
        }
      }
      if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(preemptions, 500U);
  EXPECT_GT(waits_for_quota, 500U);
  EXPECT_GT(waits_for_gpus, 200U);
  EXPECT_GT(waits_for_turn, 200U);
  EXPECT_GT(fixed_borrow, 200U);
  EXPECT_GT(fixed_wait, 500U);
}

std::size_t count_waits_for_kept_gpus(const Plan& plan) {
  return static_cast<std::size_t>(std::ranges::count_if(plan.waits, [](const Wait& wait) {
    const std::string& text = wait.reasons.front().text;
    return text.find("is not preemptible: of") != std::string::npos && text.find("GPU") != std::string::npos;
  }));
}

/// As many GPUs are guaranteed as there are, or fewer; on one node all guarantees are met at rest, of GPUs
/// too, and on more all comes to rest.
TEST(TenantProperty, GuaranteesOfGpusAreMetAtRestToo) {
  std::size_t had_back = 0, kept = 0, fixed_borrow = 0, starts_within = 0;
  const Seeds seeds(2000);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    const auto nodes = seed % 3 == 0 ? 2 + below(random, 2) : 1;
    for (std::uint64_t i = 0; i < nodes; ++i) {
      const auto gpus = static_cast<std::uint32_t>(1 + below(random, nodes == 1 ? 5 : 3));
      const auto slots = static_cast<std::uint32_t>(2 * gpus + below(random, 7));
      cluster.add_gpu_node("n" + std::to_string(i), slots, gpus, "NVIDIA H200");
    }
    cluster.tenants = random_tenants(random, count_slots(cluster));
    for (QueueSpec& queue : cluster.tenants.queues) queue.guaranteed_gpus = 0;
    testing::guarantee_random_gpus(cluster.tenants, testing::beside(random), count_gpus(cluster));
    for (int event = 0; event < 12; ++event) {
      cluster.go_on_until(cluster.now_ms + static_cast<std::int64_t>(below(random, 20'000)));
      add_tenants_job(cluster, random, event);
      if (below(random, 2) == 0) cluster.demands.back().gpus = 1;  // of the others every second needs one
      if (seed % 4 >= 2) make_some_fixed(cluster, random);
      if (below(random, 3) == 0)
        cluster.end_job(std::string(cluster.demands[below(random, cluster.demands.size())].job));
      if (!cluster.leases.empty() && below(random, 4) == 0)
        cluster.lose_worker(cluster.leases[below(random, cluster.leases.size())].worker);
      int rounds = 0;
      for (; rounds < 60; ++rounds) {
        const Plan plan = cluster.plan();
        expect_fair_preemptions(cluster, plan);
        had_back += count_gpus_had_back(cluster, plan);
        fixed_borrow += count_fixed_that_borrow(cluster, plan);
        if (plan.releases.empty() && plan.placements.empty()) break;
        cluster.carry_out(plan);
        expect_quotas_kept(cluster);
        if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
        if (below(random, 2) == 0) cluster.finish_releases();
      }
      cluster.finish_releases();
      ASSERT_LT(cluster.settle(60), 60) << "seed " << seed << ", event " << event << ": no rest";
      const Plan rest = cluster.plan();
      kept += count_waits_for_kept_gpus(rest);
      expect_guarantees_can_be_had_back(cluster, true);
      expect_gpu_quotas_keep_gpus_only(rest, cluster);
      if (nodes == 1) {
        expect_guarantees_met(cluster, rest, true);
        const auto gpus = count_gpus_used(cluster);
        for (const Demand& one : cluster.demands) {
          const auto leaf = cluster.tenants.find(one.tenant, one.queue).value();
          starts_within +=
              one.gpus > 0 && cluster.live(one.job) > 0 && gpus[leaf] <= cluster.tenants[leaf].guaranteed_gpus
                  ? 1
                  : 0;
        }
      }
      if (HasFailure()) FAIL() << "seed " << seed << ", event " << event;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(had_back, 100U);
  EXPECT_GT(kept, 100U);
  EXPECT_GT(fixed_borrow, 100U);
  EXPECT_GT(starts_within, 1000U);
}

/// Whatever waits for what others are guaranteed, and for others that do: once nobody comes any more all
/// start that ever can, as those end that run.
TEST(TenantProperty, AllStartSoonerOrLaterThoughHalfOfThemAreNotPreemptible) {
  std::size_t ended = 0, fixed_wait = 0;
  const Seeds seeds(500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    for (std::uint64_t i = 0, nodes = 1 + below(random, 3); i < nodes; ++i)
      cluster.add_node("n" + std::to_string(i), static_cast<std::uint32_t>(2 + below(random, 6)));
    cluster.tenants = random_tenants(random, count_slots(cluster));
    for (int event = 0; event < 16; ++event) {
      add_tenants_job(cluster, random, event);
      make_some_fixed(cluster, random);
      cluster.demands.back().lasts_ms = 10'000 * static_cast<std::int64_t>(1 + below(random, 20));
      if (!cluster.leases.empty() && below(random, 3) == 0)
        cluster.lose_worker(cluster.leases[below(random, cluster.leases.size())].worker);
      cluster.settle(60, [&](const Plan& plan) { fixed_wait += count_fixed_that_wait(plan); });
      cluster.go_on_until(cluster.now_ms + static_cast<std::int64_t>(below(random, 20'000)));
    }
    const std::size_t all = cluster.demands.size();
    while (true) {
      ASSERT_LT(cluster.settle(60), 60);
      std::int64_t next_ms = 0;
      for (const Demand& one : cluster.demands) {
        if (one.ends_ms > 0 && (next_ms == 0 || one.ends_ms < next_ms)) next_ms = one.ends_ms;
      }
      if (next_ms == 0) break;
      cluster.go_on_until(next_ms);
    }
    const Plan plan = cluster.plan();
    for (const Demand& left : cluster.demands) {
      const auto codes = testing::codes_of(plan, left.job);
      EXPECT_NE(std::ranges::find(codes, "never_fits"), codes.end()) << left.job << " never starts";
    }
    ended += all - cluster.demands.size();
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(ended, 2'000U);
  EXPECT_GT(fixed_wait, 300U);
}

/// Two tenants, three jobs of every shape, tenant and priority, some of which run before: all come to rest.
TEST(TenantProperty, NoSmallClusterPreemptsInCircles) {
  const std::vector<WorkerCount> shapes{{1, 1}, {1, 3}, {2, 2}, {3, 3}};
  const std::vector<std::uint32_t> priorities{kLowPriority, kHighPriority};
  const int kinds = static_cast<int>(shapes.size() * priorities.size() * 2);
  std::size_t preemptions = 0;
  for (const int guaranteed : {0, 1, 4, 6, 8}) {
    TenantTree tree;
    tree.queues[0].is_leaf = false;
    tree.queues.push_back(
        {.name = "a", .depth = 1, .guaranteed = static_cast<std::uint64_t>(guaranteed % 3)});
    tree.queues.push_back(
        {.name = "b", .depth = 1, .guaranteed = static_cast<std::uint64_t>(guaranteed / 3)});
    for (int code = 0; code < kinds * kinds * kinds; ++code) {
      for (const unsigned running : {0U, 1U, 3U, 6U}) {
        ClusterModel cluster;
        cluster.add_node("n", 4);
        cluster.tenants = tree;
        for (int job = 0, rest = code; job < 3; ++job, rest /= kinds) {
          const auto kind = static_cast<std::size_t>(rest % kinds);
          cluster.add_job(std::string(1, static_cast<char>('a' + job)), shapes[kind % shapes.size()]);
          cluster.demands.back().priority = priorities[kind / shapes.size() % 2];
          cluster.demands.back().lasts_ms = 10'000 * ((code + job) % 4);
          cluster.demands.back().tenant = kind / shapes.size() / 2 == 0 ? "a" : "b";
        }
        cluster.settle_alone(running);
        const int rounds =
            cluster.settle(40, [&](const Plan& plan) { preemptions += plan.preemptions.size(); });
        ASSERT_LT(rounds, 40) << "guaranteed " << guaranteed << ", jobs " << code << ", running " << running;
      }
    }
  }
  EXPECT_GT(preemptions, 1'000U);
}

}  // namespace
}  // namespace ds::scheduler
