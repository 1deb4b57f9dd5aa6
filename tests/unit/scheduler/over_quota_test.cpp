#include "scheduler/policy/over_quota.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "scheduler/policy/departures.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"
#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

using testing::below;
using testing::ClusterModel;
using testing::Random;

/// A cluster whose tenants' quotas change while jobs run.
class OverQuota : public testing::TenantCluster {
 protected:
  PlanWithDepartures plan_all() const {
    return plan_with_departures(cluster_.nodes, cluster_.leases, cluster_.demands, cluster_.tenants, {}, {});
  }
  /// Workers that leave, by job.
  std::map<std::string, int> leaving() const {
    std::map<std::string, int> count;
    for (const Release& one : plan_all().over_quota) ++count[one.job];
    return count;
  }
  using Leaving = std::map<std::string, int>;
};

TEST_F(OverQuota, ShrinksTheLeastUrgentFirstAndNoFurtherThanNeeded) {
  use("tenants: {a: {guaranteed: 2}, b: {guaranteed: 8}}");
  cluster_.add_node("n1", 8);
  add("urgent", "a", {1, 3}, kHighPriority);
  add("other", "a", {1, 4});
  cluster_.settle();
  ASSERT_EQ(cluster_.live("urgent") + cluster_.live("other"), 7U);
  EXPECT_EQ(leaving(), Leaving{}) << "all is as it may be";
  use("tenants: {a: {guaranteed: 2, borrowing_limit: 3}, b: {guaranteed: 8}}");
  EXPECT_EQ(leaving(), (Leaving{{"other", 2}}));
  use("tenants: {a: {guaranteed: 2, borrowing_limit: 1}, b: {guaranteed: 8}}");
  EXPECT_EQ(leaving(), (Leaving{{"other", 3}, {"urgent", 1}}));
}

TEST_F(OverQuota, StopsWholeGangsWhereMinimumsAreTooMuchTheLastInLineFirst) {
  use("tenants: {a: {guaranteed: 8}}");
  cluster_.add_node("n1", 8);
  add("first", "a", {2, 2});
  add("second", "a", {2, 2});
  add("elastic", "a", {1, 4}, kHighPriority);
  cluster_.settle();
  ASSERT_EQ(cluster_.live("elastic"), 4U);
  use("tenants: {a: {guaranteed: 4, borrowing_limit: 0}}");
  const auto planned = plan_all();
  EXPECT_EQ(leaving(), (Leaving{{"elastic", 2}, {"second", 2}}))
      << "what the gang leaves is more than was needed: a worker stays";
  EXPECT_EQ(planned.stopped, std::vector<std::string>{"second"});
  EXPECT_TRUE(planned.plan.placements.empty()) << "nobody is given more";
}

TEST_F(OverQuota, LeavesWhatIsNotPreemptibleAndWhatItDoesNotKnow) {
  use("tenants: {a: {}, b: {}}");
  cluster_.add_node("n1", 16);
  add("fixed", "a", {1, 4}).preemptible = false;
  add("gone", "b", {4, 4});
  cluster_.settle();
  use("tenants: {a: {borrowing_limit: 2}}");
  EXPECT_EQ(leaving(), Leaving{});
  add("more", "a", {1, 1});
  add("more-of-b", "b", {1, 1});
  EXPECT_TRUE(plan_all().plan.placements.empty());
}

TEST_F(OverQuota, TakesFromTheQueueThatHasBorrowedMostForItsWeight) {
  use("tenants: {t: {queues: {x: {guaranteed: 1}, y: {guaranteed: 4}}}}");
  cluster_.add_node("n1", 8);
  add("of-x", "t", "x", {1, 4}, kHighPriority);
  add("of-y", "t", "y", {1, 4});
  cluster_.settle();
  ASSERT_EQ(cluster_.live("of-x"), 4U);
  use("tenants: {t: {borrowing_limit: 0, queues: {x: {guaranteed: 1}, y: {guaranteed: 4}}}}");
  EXPECT_EQ(leaving(), (Leaving{{"of-x", 3}}));
}

TEST_F(OverQuota, BreaksAPromiseOnlyWhenNobodyElseCanGive) {
  const auto limit_to = [this](const std::string& slots) {
    use("tenants: {t: {guaranteed: " + slots +
        ", borrowing_limit: 0, queues: {x: {}, y: {guaranteed: " + slots + "}}}}");
  };
  limit_to("9");
  cluster_.add_node("n1", 9);
  add("promised", "t", "x", {3, 4}, kLowPriority).has_promise = true;
  add("other", "t", "y", {2, 2}, kHighPriority);
  add("wide", "t", "y", {3, 3}, kHighPriority);
  cluster_.settle();
  ASSERT_EQ(cluster_.live("promised"), 4U);
  limit_to("5");
  EXPECT_EQ(leaving(), (Leaving{{"promised", 1}, {"wide", 3}}))
      << "what it has above its minimum was not promised";
  limit_to("3");
  EXPECT_EQ(leaving(), (Leaving{{"other", 2}, {"promised", 1}, {"wide", 3}}));
  limit_to("2");
  EXPECT_EQ(plan_all().stopped, (std::vector<std::string>{"promised", "wide"}));
}

TEST_F(OverQuota, GivesGpusBackBeyondTheirLimit) {
  use("tenants: {a: {}}");
  cluster_.add_gpu_node("n1", 8, 4, "H200");
  add("without", "a", {1, 4});
  cluster_.add_gpu_job("with", {1, 4}, 1, "");
  cluster_.demands.back().tenant = "a";
  cluster_.settle();
  ASSERT_EQ(cluster_.live("with"), 4U);
  use("tenants: {a: {gpu_limit: 3}}");
  EXPECT_EQ(leaving(), (Leaving{{"with", 1}}));
}

/// Of what is acknowledged, stopping workers too.
std::vector<SlotCount> slots_by_queue(const ClusterModel& cluster) {
  std::vector<SlotCount> used(cluster.tenants.queues.size());
  for (const Lease& lease : cluster.leases) {
    const auto leaf = cluster.tenants.find(lease.tenant, lease.queue);
    if (!leaf) continue;
    for (std::size_t queue = *leaf; queue != 0; queue = cluster.tenants[queue].parent)
      used[queue] += lease.slots;
  }
  return used;
}

TEST(OverQuotaProperty, BringsEveryQueueDownAndGivesNoneMoreWhateverQuotasBecome) {
  std::size_t left = 0, stopped = 0;
  const testing::Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (::testing::Test::HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    for (int i = 0; i < 3; ++i) cluster.add_node("n" + std::to_string(i), 4);
    cluster.tenants = testing::random_tenants(random, 12);
    for (int i = 0; i < 7; ++i) {
      testing::add_random_job(cluster, random, i);
      Demand& demand = cluster.demands.back();
      demand.held = false;
      demand.memory_bytes = 0;
      const char* tenants[] = {"a", "b", "c", "c"};
      const char* queues[] = {"default", "default", "x", "y"};
      const auto leaf = below(random, 4);
      demand.tenant = tenants[leaf];
      demand.queue = queues[leaf];
    }
    cluster.settle();
    cluster.tenants = testing::random_tenants(random, 12);
    std::vector<SlotCount> before = slots_by_queue(cluster);
    int round = 0;
    for (; round < 100; ++round) {
      const auto next =
          plan_with_departures(cluster.nodes, cluster.leases, cluster.demands, cluster.tenants, {}, {});
      if (next.departures.empty() && next.plan.releases.empty() && next.plan.placements.empty()) break;
      left += next.over_quota.size();
      stopped += next.stopped.size();
      Plan plan = next.plan;
      plan.releases.insert(plan.releases.begin(), next.departures.begin(), next.departures.end());
      cluster.carry_out(plan);
      const auto used = slots_by_queue(cluster);
      for (std::size_t queue = 1; queue < used.size(); ++queue) {
        const auto most = cluster.tenants[queue].most();
        if (most && used[queue] > *most) {
          EXPECT_LE(used[queue], before[queue]) << "it was given more";
        }
      }
      if (round > 0 || below(random, 2) == 0) cluster.finish_releases();
      before = slots_by_queue(cluster);
    }
    EXPECT_LT(round, 100) << "it goes on for ever";
    cluster.finish_releases();
    const auto used = slots_by_queue(cluster);
    for (std::size_t queue = 1; queue < used.size(); ++queue) {
      const auto most = cluster.tenants[queue].most();
      if (!most || used[queue] <= *most) continue;
      for (const Lease& lease : cluster.leases) {
        const auto leaf = cluster.tenants.find(lease.tenant, lease.queue);
        if (!leaf || !cluster.tenants.is_below(*leaf, queue)) continue;
        EXPECT_FALSE(cluster.demand(lease.job).preemptible) << lease.job << " has what it may not";
      }
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(left, 500U);
  EXPECT_GT(stopped, 100U);
}

}  // namespace
}  // namespace ds::scheduler
