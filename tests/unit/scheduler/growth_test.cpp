// Who grows, who is shrunk and what moves between jobs, by the speeds that jobs have measured.
#include "scheduler/policy/growth.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/policy/elastic/batch_growth.hpp"
#include "scheduler/policy/elastic/speed_curve.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

/// Speeds with one worker, two, …
std::shared_ptr<const SpeedCurve> curve(const std::vector<double>& speeds, double resize_s = 0) {
  SpeedCurve made{1, {}, resize_s};
  for (const double speed : speeds) made.log_speeds.push_back(std::log(speed));
  return std::make_shared<const SpeedCurve>(made);
}

class Growing : public ::testing::Test {
 protected:
  Demand& add(const std::string& job, WorkerCount workers, std::shared_ptr<const SpeedCurve> speeds = {}) {
    cluster_.add_job(job, workers);
    cluster_.demands.back().curve = std::move(speeds);
    cluster_.demands.back().is_settled = true;
    return cluster_.demands.back();
  }
  ClusterModel cluster_;
};

TEST_F(Growing, GivesWhatIsLeftToTheJobThatGainsMostByIt) {
  cluster_.add_node("n1", 6);
  add("flat", {1, 4}, curve({1, 1.2, 1.3, 1.35}));
  add("steep", {1, 4}, curve({1, 1.9, 2.8, 3.6}));
  cluster_.settle();
  EXPECT_EQ(cluster_.live("steep"), 4U);
  EXPECT_EQ(cluster_.live("flat"), 2U);
}

TEST_F(Growing, TakesAJobThatHasMeasuredNothingToScalePerfectly) {
  cluster_.add_node("n1", 5);
  add("flat", {1, 4}, curve({1, 1.3, 1.4, 1.5}));
  add("unknown", {1, 4});
  cluster_.settle();
  EXPECT_EQ(cluster_.live("unknown"), 4U);
  EXPECT_EQ(cluster_.live("flat"), 1U);
}

TEST_F(Growing, TakesASmallerStepWhereTheBestDoesNotFit) {
  cluster_.add_node("n1", 3);
  add("stairs", {1, 4}, curve({1, 2, 2.67, 4}));
  cluster_.settle();
  EXPECT_EQ(cluster_.live("stairs"), 3U) << "four would bring more by slot than three";
}

TEST_F(Growing, GivesNothingBackWhereWhatMayGoIsTooLittleToBeFaster) {
  cluster_.add_node("closed", 3);
  cluster_.add_node("open", 1);
  add("dip", {1, 4}, curve({1, 1.4, 1.15, 1.25}));
  for (const char* node : {"closed", "closed", "closed", "open"}) cluster_.start_worker("dip", node);
  EXPECT_EQ(cluster_.plan().releases.size(), 2U) << "two are faster than four";
  cluster_.node("closed").available = false;
  EXPECT_TRUE(cluster_.plan().releases.empty()) << "three are slower, and would grow again";
}

TEST_F(Growing, TakesFromAJobThatWasMeasuredThoughOneThatWasNotWouldLoseLess) {
  cluster_.add_node("n1", 5);
  add("unsettled", {1, 4}, curve({1, 1.01, 1.02, 1.03})).is_settled = false;
  add("flat", {1, 4}, curve({1, 1.02, 1.04, 1.06}));
  add("steep", {1, 4}, curve({1, 1.9, 2.8, 3.6}));
  for (const char* job : {"unsettled", "unsettled", "flat", "flat", "steep"})
    cluster_.start_worker(job, "n1");
  const Plan plan = cluster_.plan();
  ASSERT_EQ(plan.releases.size(), 1U);
  EXPECT_EQ(plan.releases.front().job, "flat");
}

TEST_F(Growing, LeavesSlotsFreeThatWouldBringNothing) {
  cluster_.add_node("n1", 8);
  add("flat", {1, 4}, curve({1, 1.5, 1.51, 1.51}));
  cluster_.settle();
  EXPECT_EQ(cluster_.live("flat"), 2U) << "the third brings less than a tenth of what it should";
}

TEST_F(Growing, GoesToTheNextSizeAtWhichSharesGetSmaller) {
  cluster_.add_node("n1", 3);
  add("stairs", {1, 4}, curve({1, 1.9, 1.9, 3.5}));
  cluster_.settle();
  EXPECT_EQ(cluster_.live("stairs"), 2U) << "a third alone is of no use";
  cluster_.add_node("n2", 1);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"stairs", "n1", 1}, {"stairs", "n2", 1}}));
  ASSERT_EQ(plan.resizes.size(), 1U);
  EXPECT_EQ(plan.resizes[0].from, 2U);
  EXPECT_EQ(plan.resizes[0].to, 4U);
  EXPECT_NEAR(plan.resizes[0].speed, 3.5 / 1.9, 1e-9);
  EXPECT_TRUE(plan.resizes[0].is_known);
}

TEST_F(Growing, DoesNotGrowWhereTheRestOfTheJobIsTooShortForTheResize) {
  cluster_.add_node("n1", 4);
  Demand& demand = add("short", {1, 2}, curve({1, 2}, 10));
  demand.left_s = 19;
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 1}}));
  cluster_.demand("short").left_s = 21;
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"short", "n1", 2}}));
}

TEST_F(Growing, ShrinksFirstWhoLosesLeastByIt) {
  cluster_.add_node("n1", 8);
  add("flat", {1, 3}, curve({1, 1.2, 1.4}));
  add("steep", {1, 5}, curve({1, 1.9, 2.8, 3.7, 4.6}));
  cluster_.settle();
  ASSERT_EQ(cluster_.live("flat") + cluster_.live("steep"), 8U);
  add("new", {1, 1});
  const Plan plan = cluster_.plan();
  ASSERT_EQ(plan.releases.size(), 1U);
  EXPECT_EQ(plan.releases[0].job, "flat") << "the other has more workers, and loses more by each";
  EXPECT_TRUE(plan.resizes.empty()) << "it is not for a gain";
}

TEST_F(Growing, MovesAWorkerToWhoGainsMuchMoreByIt) {
  cluster_.add_node("n1", 4);
  add("flat", {1, 3});
  cluster_.settle();
  ASSERT_EQ(cluster_.live("flat"), 3U);
  cluster_.demand("flat").curve = curve({1, 1.05, 1.06});
  add("steep", {1, 3}, curve({1, 1.9, 2.8}));
  const Plan start = cluster_.plan();
  EXPECT_TRUE(start.releases.empty());
  cluster_.carry_out(start);
  const Plan plan = cluster_.plan();
  ASSERT_EQ(plan.releases.size(), 1U);
  EXPECT_EQ(plan.releases[0].job, "flat");
  ASSERT_EQ(plan.resizes.size(), 1U);
  EXPECT_EQ(plan.resizes[0].in_favour_of, "steep");
  EXPECT_NEAR(plan.resizes[0].speed, 1.05 / 1.06, 1e-9);
  cluster_.carry_out(plan);
  EXPECT_TRUE(cluster_.plan().releases.empty()) << "one after another";
  cluster_.finish_releases();
  cluster_.settle();
  EXPECT_EQ(cluster_.live("flat"), 1U);
  EXPECT_EQ(cluster_.live("steep"), 3U);
}

TEST_F(Growing, MovesNothingThatDoesNotPayForTheResizes) {
  cluster_.add_node("n1", 3);
  add("a", {1, 2});
  cluster_.settle();
  cluster_.demand("a").curve = curve({1, 1.05}, 50);
  add("b", {1, 2}, curve({1, 1.2}, 50));
  cluster_.settle();
  ASSERT_EQ(cluster_.live("a"), 2U);
  EXPECT_TRUE(cluster_.plan().releases.empty()) << "log(1.2 / 1.05) of 600 s is less than twice 50 s";
  cluster_.demand("b").left_s = 3600;
  cluster_.demand("b").curve = curve({1, 1.25}, 50);
  EXPECT_FALSE(cluster_.plan().releases.empty());
  cluster_.demand("a").left_s = 300;
  EXPECT_TRUE(cluster_.plan().releases.empty()) << "its slots are free soon anyway";
}

TEST_F(Growing, MovesNothingWhileAJobWaitsOrBeforeItWasMeasured) {
  cluster_.add_node("n1", 4);
  add("flat", {1, 3});
  cluster_.settle();
  cluster_.demand("flat").curve = curve({1, 1.05, 1.06});
  add("steep", {1, 3}, curve({1, 1.9, 2.8}));
  cluster_.settle(1);
  cluster_.demand("steep").is_settled = false;
  EXPECT_TRUE(cluster_.plan().releases.empty());
  cluster_.demand("steep").is_settled = true;
  cluster_.demand("flat").is_settled = false;
  EXPECT_TRUE(cluster_.plan().releases.empty());
  cluster_.demand("flat").is_settled = true;
  add("large", {4, 4});
  cluster_.demand("flat").preemptible = false;
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

TEST_F(Growing, MovesNothingToALessUrgentJobOrAnotherQueue) {
  cluster_.add_node("n1", 4);
  add("flat", {1, 3}).priority = kHighPriority;
  cluster_.settle();
  cluster_.demand("flat").curve = curve({1, 1.05, 1.06});
  add("steep", {1, 3}, curve({1, 1.9, 2.8}));
  cluster_.settle();
  EXPECT_EQ(cluster_.live("flat"), 3U);
}

TEST_F(Growing, GivesBackWhatMakesItSlower) {
  cluster_.add_node("n1", 4);
  add("slowed", {1, 4});
  cluster_.settle();
  ASSERT_EQ(cluster_.live("slowed"), 4U);
  cluster_.demand("slowed").curve = curve({1, 1.3, 1.1, 0.9});
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.releases.size(), 2U);
  ASSERT_EQ(plan.resizes.size(), 1U);
  EXPECT_EQ(plan.resizes[0].in_favour_of, "");
  EXPECT_NEAR(plan.resizes[0].speed, 1.3 / 0.9, 1e-9);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("slowed"), 2U);
}

TEST_F(Growing, GivesMoreToWhoCountsForMoreAndMovesWorkersToIt) {
  cluster_.add_node("n1", 6);
  add("old", {1, 5}, curve({1, 2, 3, 4, 5})).weight = 0.25;
  add("new", {1, 5}, curve({1, 2, 3, 4, 5}));
  ClusterModel together = cluster_;
  together.settle();
  EXPECT_EQ(together.live("new"), 5U) << "log 5/4 is still more than a quarter of log 2";
  EXPECT_EQ(together.live("old"), 1U);
  for (int i = 0; i < 5; ++i) cluster_.start_worker("old", "n1");
  cluster_.start_worker("new", "n1");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("new"), 4U) << "what is gained by the last is less than a tenth";
  EXPECT_EQ(cluster_.live("old"), 2U);
}

TEST(GrowthRule, CountsJobsForLessAFewTimesInTheirLives) {
  EXPECT_EQ(weight_by_attained(0), 1);
  EXPECT_EQ(next_lower_weight_slot_s(0), 900);
  EXPECT_EQ(weight_by_attained(899), 1);
  EXPECT_EQ(weight_by_attained(900), 0.5);
  EXPECT_EQ(next_lower_weight_slot_s(900), 4500);
  EXPECT_EQ(weight_by_attained(4500), 0.25);
  EXPECT_EQ(weight_by_attained(-1), 1);
  for (double had = 0; had < 1e9; had = next_lower_weight_slot_s(had))
    EXPECT_EQ(weight_by_attained(next_lower_weight_slot_s(had)), weight_by_attained(had) / 2) << had;
}

/// Of a job that spends as long on the sum of the gradients as two workers save, after many looks at its
/// noise.
std::shared_ptr<const SpeedCurve> curve_by_noise(double noise_scale) {
  BatchSpec batch;
  batch.global = 64;
  batch.max_global = 512;
  std::uint32_t batches = 1;
  for (int look = 0; look < 8; ++look) batches = choose_batches(batch, batches, noise_scale);
  const std::vector<SizeMeasured> sizes{{1, 1, 1, 1}, {2, 1, 1, 0.5}};
  return make_curve(sizes, {}, {1, 2}, 2, batches);
}

TEST_F(Growing, GoesByTheNoiseOfJobsWhoseBatchMayGrow) {
  cluster_.add_node("n1", 3);
  add("noisy", {1, 2});
  add("other", {1, 2}, curve({1, 1.4}));
  cluster_.demands[0].curve = curve_by_noise(100);
  ClusterModel by_small_noise = cluster_;
  by_small_noise.settle();
  EXPECT_EQ(by_small_noise.live("other"), 2U) << "two workers are no faster at a batch of 64";
  cluster_.demands[0].curve = curve_by_noise(1000);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("noisy"), 2U) << "of 512 samples there is one sum for eight batches";
}

double sum_of_speeds(const ClusterModel& cluster) {
  double sum = 0;
  for (const Demand& demand : cluster.demands) {
    const auto workers = cluster.live(demand.job);
    if (workers >= demand.workers.min) sum += demand.weight * log_speed(demand, workers);
  }
  return sum;
}

/// Whether a job waits that could run.
bool has_waiting(const Plan& plan) {
  return std::ranges::any_of(plan.waits, [&](const Wait& wait) {
    return std::ranges::none_of(wait.reasons, [](const Reason& reason) {
      return reason.code == "never_fits" || reason.code == "drain" || reason.code == "backoff_restart" ||
             (reason.code == "quota_tenant" && reason.blocking.empty());
    });
  });
}

/// A few jobs of which all can grow.
ClusterModel elastic_cluster(Random& random) {
  ClusterModel cluster;
  Random parts = beside(random);
  cluster.has_parts = between(parts, 0, 3) == 0;
  for (std::uint32_t node = between(random, 1, 3); node > 0; --node)
    cluster.add_node("node" + std::to_string(node), between(random, 2, 6));
  for (std::uint32_t job = between(random, 2, 4); job > 0; --job) {
    const std::uint32_t min = between(random, 1, 2);
    cluster.add_job("job" + std::to_string(job), {min, min + between(random, 1, 5)},
                    between(random, 0, 3) == 0 ? 2 : 1);
    if (cluster.has_parts) cluster.demands.back().slots = random_part(parts);
    if (between(random, 0, 4) == 0) cluster.demands.back().priority = kHighPriority;
  }
  return cluster;
}

/// Whatever the speeds: when nothing changes from outside, workers move until all is at rest, and the sum of
/// the logarithms of the speeds has not become less where no one waited.
TEST(GrowthProperty, WorkersMoveToWhereTheyGainAndThenStay) {
  std::size_t moves = 0, given_back = 0, rests = 0;
  const Seeds seeds(3000);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster = seed % 4 == 0 ? random_cluster(random) : elastic_cluster(random);
    if (seed % 3 == 1) cluster.tenants = random_tenants(random, 12);
    for (Demand& demand : cluster.demands) {
      if (seed % 2 == 0) demand.priority = kNormalPriority;
      if (!cluster.tenants.has_tenants()) continue;
      demand.tenant = below(random, 2) == 0 ? "a" : "b";
    }
    cluster.settle();
    for (int round = 0; round < 4; ++round) {
      for (Demand& demand : cluster.demands) {
        add_random_curve(demand, random);
        Random weights = beside(random);
        if (seed % 5 == 0) demand.weight = std::exp2(-static_cast<double>(between(weights, 0, 4)));
        demand.is_settled = demand.is_settled || seed % 4 != 0;
      }
      const double before = sum_of_speeds(cluster);
      bool has_waited = false;
      const int rounds = cluster.settle(300, [&](const Plan& plan) {
        has_waited = has_waited || has_waiting(plan);
        for (const SizeChange& change : plan.resizes) {
          if (change.to > change.from) continue;
          ++(change.in_favour_of.empty() ? given_back : moves);
          EXPECT_TRUE(change.in_favour_of.empty() || !has_waiting(plan)) << "seed " << seed;
        }
        if (has_waiting(plan) || cluster.tenants.has_tenants()) return;  // guarantees are taken back
        for (const Release& release : plan.releases)
          EXPECT_TRUE(std::ranges::any_of(
              plan.resizes,
              [&](const SizeChange& change) { return change.job == release.job && change.to < change.from; }))
              << "seed " << seed << ": released for no reason";
      });
      ASSERT_LT(rounds, 300) << "seed " << seed << ": it does not come to rest";
      if (!has_waited && !cluster.tenants.has_tenants()) {
        EXPECT_GE(sum_of_speeds(cluster), before - 1e-9) << "seed " << seed;
      }
      rests += has_waited ? 0 : 1;
      if (HasFailure()) return;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(moves, 500U);
  EXPECT_GT(given_back, 500U);
  EXPECT_GT(rests, 3000U);
}

}  // namespace
}  // namespace ds::scheduler
