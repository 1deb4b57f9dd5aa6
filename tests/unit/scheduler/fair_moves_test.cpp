// Workers that change jobs that run for the sake of equal shares: of tenants, and of jobs whose speed nobody
// knows.
#include <string>
#include <vector>

#include "scheduler/policy/growth.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"
#include "tests/unit/scheduler/tenant_cluster.hpp"

namespace ds::scheduler {
namespace {

class FairMoves : public testing::TenantCluster {
 protected:
  /// It runs on `n1` with so many workers.
  Demand& add_with(std::uint32_t has, const std::string& job, const std::string& tenant,
                   WorkerCount workers) {
    Demand& added = add(job, tenant, workers);
    for (std::uint32_t i = 0; i < has; ++i) cluster_.start_worker(job, "n1");
    return added;
  }
  /// What both use, if they have used as much for long.
  void use_for_long() {
    cluster_.past.clear();
    for (const auto& queue : cluster_.tenants.queues) {
      double slots = 0;
      for (const Lease& lease : cluster_.leases)
        slots += lease.tenant == queue.name ? lease.slots.number() : 0;
      cluster_.past.push_back({.tenant = queue.name, .queue = "default", .slots = slots});
    }
  }
};

TEST_F(FairMoves, GiveATenantItsShareByWeightThoughAnotherRunsAlready) {
  use("tenants: {x: {weight: 1}, y: {weight: 10}}");
  cluster_.add_node("n1", 12);
  add("fx", "x", {1, 12});
  cluster_.settle();
  ASSERT_EQ(cluster_.live("fx"), 12U);
  add("fy", "y", {1, 12});
  std::size_t resized = 0;
  cluster_.settle(20, [&](const Plan& plan) { resized += plan.resizes.size(); });
  EXPECT_EQ(cluster_.live("fx"), 2U) << "with another of 10 it would have as large a share as with both of 2";
  EXPECT_EQ(cluster_.live("fy"), 10U);
  EXPECT_EQ(resized, 2U) << "ten workers of one are released at once, and the other grows by them at once";
}

TEST_F(FairMoves, GoByWhatWasUsedLatelyToo) {
  use("tenants: {x: {weight: 3}, y: {weight: 1}}");
  cluster_.add_node("n1", 12);
  add_with(11, "fx", "x", {1, 12});
  add_with(1, "fy", "y", {1, 12});
  use_for_long();
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("fx"), 7U) << "18 of 24 slots, now and lately, are three quarters";
  for (int hour = 0; hour < 3; ++hour) {
    use_for_long();
    ASSERT_LT(cluster_.settle(20), 20);
  }
  EXPECT_NEAR(cluster_.live("fx"), 9U, 2);
}

TEST_F(FairMoves, GoOnWhileOneWaitsThatMayHaveNoSlotThatIsGiven) {
  use("tenants: {x: {}, y: {}, w: {}, z: {guaranteed: 4}}");
  cluster_.add_node("n1", 12);
  add_with(7, "fx", "x", {1, 8});
  add_with(1, "fy", "y", {1, 8});
  add_with(4, "runs", "w", {4, 4}).preemptible = false;
  add("waits", "w", {5, 5}).preemptible = false;
  EXPECT_EQ(testing::text_of(cluster_.plan(), "waits"),
            "needs 5 slots, and is not preemptible: of 12 slots 4 are guaranteed to tenants, who could not "
            "have theirs back; such jobs have 4");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("fx"), 4U);
  EXPECT_EQ(cluster_.live("fy"), 4U);
}

TEST_F(FairMoves, SayWhoGivesToWhomAndWhy) {
  use("tenants: {x: {}, y: {}}");
  cluster_.add_node("n1", 8);
  add_with(7, "fx", "x", {1, 8});
  add_with(1, "fy", "y", {1, 8});
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.releases.size(), 3U);
  ASSERT_EQ(plan.resizes.size(), 1U);
  EXPECT_EQ(plan.resizes[0].job, "fx");
  EXPECT_EQ(plan.resizes[0].from, 7U);
  EXPECT_EQ(plan.resizes[0].to, 4U);
  EXPECT_EQ(plan.resizes[0].in_favour_of, "fy");
  EXPECT_EQ(plan.resizes[0].because, "x has 0.88 of the cluster for its weight, y 0.12");
}

TEST_F(FairMoves, TakeNothingThatIsGuaranteed) {
  use("tenants: {x: {guaranteed: 6}, y: {}}");
  cluster_.add_node("n1", 8);
  add_with(7, "fx", "x", {1, 8});
  add_with(1, "fy", "y", {1, 8});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("fx"), 6U);
}

TEST_F(FairMoves, GiveNobodyMoreThanItMayBorrow) {
  use("tenants: {x: {}, y: {borrowing_limit: 2}}");
  cluster_.add_node("n1", 8);
  add_with(7, "fx", "x", {1, 8});
  add_with(1, "fy", "y", {1, 8});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("fy"), 2U);
}

TEST_F(FairMoves, LeaveWhoIsNotPreemptibleYoungOrResting) {
  use("tenants: {x: {}, y: {}}");
  cluster_.add_node("n1", 8);
  add_with(7, "fx", "x", {1, 8});
  add_with(1, "fy", "y", {1, 8});
  Demand& rich = cluster_.demand("fx");
  for (bool Demand::*keeps : {&Demand::is_young, &Demand::is_resting, &Demand::works_with_fewer}) {
    rich.*keeps = true;
    EXPECT_TRUE(cluster_.plan().releases.empty());
    rich.*keeps = false;
  }
  rich.preemptible = false;
  EXPECT_TRUE(cluster_.plan().releases.empty());
  rich.preemptible = true;
  EXPECT_EQ(cluster_.plan().releases.size(), 3U);
}

TEST_F(FairMoves, DoNotPayForLessThanATenth) {
  use("tenants: {x: {}, y: {}}");
  cluster_.add_node("n1", 20);
  add_with(11, "fx", "x", {1, 20});
  add_with(9, "fy", "y", {1, 20});
  EXPECT_TRUE(cluster_.plan().releases.empty()) << "11 to 10 is less than a tenth";
  cluster_.leases.clear();
  cluster_.demands.clear();
  add_with(12, "fx", "x", {1, 20});
  add_with(8, "fy", "y", {1, 20});
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("fx"), 10U) << "who is resized anyway goes on to what is equal";
}

TEST_F(FairMoves, MakeTwoProgramsOfAQueueEqual) {
  cluster_.add_node("n1", 8);
  add_with(7, "a", "default", {1, 8}).grows_to = 8;
  add_with(1, "b", "default", {1, 8}).grows_to = 2;
  const Plan plan = cluster_.plan();
  ASSERT_EQ(plan.resizes.size(), 1U);
  EXPECT_EQ(plan.resizes[0].because, "that has 1, and nobody knows how fast either is with how many");
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("a"), 4U);
  EXPECT_EQ(cluster_.live("b"), 4U);
}

TEST_F(FairMoves, LeaveProgramsOfAQueueThatRest) {
  cluster_.add_node("n1", 8);
  add_with(7, "a", "default", {1, 8}).grows_to = 8;
  Demand& small = add_with(1, "b", "default", {1, 8});
  small.grows_to = std::numeric_limits<std::uint32_t>::max();
  EXPECT_TRUE(cluster_.plan().releases.empty()) << "it may not grow yet";
  small.grows_to = 7;
  EXPECT_TRUE(cluster_.plan().releases.empty()) << "it would have more than is fair";
  small.grows_to = 3;
  EXPECT_EQ(cluster_.plan().releases.size(), 3U);
  cluster_.demand("a").is_resting = true;
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

TEST_F(FairMoves, LeaveJobsOfAQueueThatTrainToWhatTheyGain) {
  cluster_.add_node("n1", 8);
  add_with(7, "a", "default", {1, 8}).grows_to = 8;
  add_with(1, "b", "default", {1, 8});
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

TEST_F(FairMoves, MakeTrainingJobsOfAQueueEqualOfWhichNothingWasMeasured) {
  cluster_.add_node("n1", 8);
  add_with(7, "a", "default", {1, 8});
  add_with(1, "b", "default", {1, 8});
  const Plan plan = cluster_.plan();
  ASSERT_EQ(plan.resizes.size(), 1U);
  EXPECT_EQ(plan.resizes[0].to, 4U);
  EXPECT_EQ(plan.resizes[0].in_favour_of, "b");
  EXPECT_EQ(plan.resizes[0].because, "that has 1, and nobody knows how fast either is with how many");
  ASSERT_LT(cluster_.settle(20), 20);
  EXPECT_EQ(cluster_.live("a"), 4U);
  EXPECT_EQ(cluster_.live("b"), 4U);
}

TEST_F(FairMoves, LeaveTrainingJobsThatMayStillMeasureOrHave) {
  cluster_.add_node("n1", 8);
  add_with(7, "a", "default", {1, 8});
  add_with(1, "b", "default", {1, 8});
  for (const char* job : {"a", "b"}) {
    Demand& demand = cluster_.demand(job);
    demand.is_young = true;
    EXPECT_TRUE(cluster_.plan().releases.empty()) << job;
    demand.is_young = false;
    demand.curve = std::make_shared<const SpeedCurve>(SpeedCurve{1, {0, 0.6, 1, 1.3, 1.5, 1.7, 1.9, 2}});
    EXPECT_TRUE(cluster_.plan().releases.empty()) << job;
    demand.curve = nullptr;
  }
  EXPECT_EQ(cluster_.plan().releases.size(), 3U);
}

TEST_F(FairMoves, ResizeTrainingJobsOnlyWhereThatPays) {
  cluster_.add_node("n1", 8);
  add_with(7, "a", "default", {1, 8});
  add_with(1, "b", "default", {1, 8}).left_s = 30;
  EXPECT_TRUE(cluster_.plan().releases.empty()) << "ln(6 x 2 / 7) in 30 s are 16 s, and both resizes 20 s";
  cluster_.demand("b").left_s = 60;
  EXPECT_EQ(cluster_.plan().releases.size(), 3U);
}

TEST_F(FairMoves, LeaveMoreUrgentJobsOfTheQueueWhatTheyHave) {
  cluster_.add_node("n1", 8);
  add_with(7, "a", "default", {1, 8}).grows_to = 8;
  add_with(1, "b", "default", {1, 8}).grows_to = 2;
  cluster_.demand("a").priority = kHighPriority;
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

/// Each ends by itself when its gang does: the workers of one leave one after another.
TEST_F(FairMoves, LetAProgramGrowByAllAtOnceThoughWorkersLeaveOneAfterAnother) {
  use("tenants: {x: {}, y: {}}");
  cluster_.add_node("n1", 8);
  add_with(7, "fx", "x", {1, 8});
  add_with(1, "fy", "y", {1, 8}).grows_to = 2;
  cluster_.carry_out(cluster_.plan());
  const auto leave = [&] {
    const auto one = std::ranges::find(cluster_.leases, true, &Lease::releasing);
    cluster_.leases.erase(one);
  };
  leave();
  EXPECT_TRUE(cluster_.plan().placements.empty());
  leave();
  EXPECT_TRUE(cluster_.plan().placements.empty());
  leave();
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"fy", "n1", 3}}));
}

/// Of two slots one is within what `c` is guaranteed, and only `jy` has a worker so small.
TEST_F(FairMoves, TakeNothingThatTheGiverWouldHaveBack) {
  use("tenants: {c: {guaranteed: 4, queues: {x: {guaranteed: 3, weight: 16}, y: {guaranteed: 1}}}}");
  cluster_.add_node("n1", 5);
  add_with(3, "jy", "c", {1, 3}).queue = "y";
  add_with(1, "jx", "c", {1, 2}).queue = "x";
  cluster_.demand("jx").slots = 2;
  for (Lease& lease : cluster_.leases) {
    lease.queue = lease.job == "jy" ? "y" : "x";
    lease.slots = lease.job == "jy" ? 1 : 2;
  }
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

void add_elastic_job(testing::ClusterModel& cluster, testing::Random& random, int number, bool has_tenants) {
  using testing::between;
  const std::uint32_t min = between(random, 1, 2);
  cluster.add_job("job" + std::to_string(number), {min, min + between(random, 0, 9)},
                  between(random, 0, 4) == 0 ? 2 : 1);
  Demand& demand = cluster.demands.back();
  demand.order = static_cast<std::uint64_t>(number);
  if (cluster.has_parts && between(random, 0, 1) == 0) demand.slots = testing::random_part(random);
  if (between(random, 0, 2) == 0) testing::add_random_curve(demand, random);
  if (!demand.curve && between(random, 0, 1) == 0) demand.grows_to = 1;
  if (between(random, 0, 5) == 0) demand.priority = kHighPriority;
  demand.preemptible = between(random, 0, 7) != 0;
  static constexpr const char* kQueues[][2] = {{"a", "default"}, {"b", "default"}, {"c", "x"}, {"c", "y"}};
  const auto& [tenant, queue] = kQueues[between(random, 0, 3)];
  if (!has_tenants) return;
  demand.tenant = tenant;
  demand.queue = queue;
}

/// Whatever the tenants, weights, speeds and programs: it comes to rest, and then programs of one queue that
/// could have more do not have much less than others; nor do training jobs that have measured nothing.
TEST(FairMovesProperty, AllComesToRestAndThoseOfUnknownSpeedHaveAboutAsMany) {
  using namespace testing;
  std::size_t moved = 0, programs = 0, trainings = 0;  // of the last two: compared
  const Seeds seeds(3000);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    cluster.has_parts = seed % 5 == 0;
    for (std::uint32_t node = between(random, 1, 3); node > 0; --node)
      cluster.add_node("node" + std::to_string(node), between(random, 3, 9));
    if (seed % 4 != 0) {
      cluster.tenants = random_tenants(random, seed % 2 == 0 ? 0 : 8);
      for (auto& queue : cluster.tenants.queues) queue.weight = std::exp2(between(random, 0, 4));
    }
    for (int number = 0; number < 8; ++number) {
      add_elastic_job(cluster, random, number, seed % 4 != 0);
      if (between(random, 0, 3) == 0)
        cluster.end_job(std::string(cluster.demands[below(random, cluster.demands.size())].job));
      if (seed % 3 == 0)
        cluster.past = {{.tenant = "a", .queue = "default", .slots = static_cast<double>(below(random, 9))},
                        {.tenant = "c", .queue = "x", .slots = static_cast<double>(below(random, 9))}};
      const int rounds = cluster.settle(100, [&](const Plan& plan) {
        for (const SizeChange& change : plan.resizes) moved += change.because.empty() ? 0 : 1;
        for (const SizeChange& change : plan.resizes) {
          EXPECT_TRUE(change.because.empty() || plan.placements.empty()) << "by itself";
        }
      });
      ASSERT_LT(rounds, 100) << "seed " << seed << ", job " << number << ": no rest";
      const Plan rest = cluster.plan();
      if (!rest.waits.empty()) continue;
      for (const Demand& rich : cluster.demands) {
        for (const Demand& poor : cluster.demands) {
          const auto is_like = [&](const Demand& one) {
            return !one.curve && (one.grows_to > 0) == (poor.grows_to > 0) && one.priority == poor.priority &&
                   one.slots == poor.slots && one.left_s == 0;
          };
          if (seed % 4 != 0 || !rich.preemptible || cluster.live(rich.job) <= rich.workers.min ||
              cluster.live(poor.job) == poor.workers.max)
            continue;
          if (!std::ranges::all_of(cluster.demands, is_like)) continue;  // they may come first, and gain more
          ++(poor.grows_to > 0 ? programs : trainings);
          EXPECT_LE(cluster.live(rich.job), cluster.live(poor.job) * (poor.grows_to > 0 ? 1.2 : 1.5) + 1)
              << rich.job << ", " << poor.job;
        }
      }
      if (HasFailure()) FAIL() << "seed " << seed << ", job " << number;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(moved, 1000U);
  EXPECT_GT(programs, 20U);
  EXPECT_GT(trainings, 20U);
}

/// Of two dimensions: what a queue gives is no slot, or no GPU, that it is guaranteed.
TEST(FairMovesProperty, AllComesToRestWhereGpusAreGuaranteed) {
  using namespace testing;
  std::size_t moved = 0, with_gpus = 0;
  const Seeds seeds(4000);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster;
    const std::uint32_t gpus = between(random, 2, 6), slots = gpus + between(random, 0, 8);
    cluster.add_gpu_node("node", slots, gpus, "NVIDIA H200");
    cluster.tenants = random_tenants(random, slots);
    for (auto& queue : cluster.tenants.queues) {
      queue.weight = std::exp2(between(random, 0, 4));
      queue.guaranteed_gpus = 0;
    }
    guarantee_random_gpus(cluster.tenants, beside(random), gpus);
    for (int number = 0; number < 8; ++number) {
      add_elastic_job(cluster, random, number, true);
      if (between(random, 0, 1) == 0) cluster.demands.back().gpus = 1;
      if (between(random, 0, 3) == 0)
        cluster.end_job(std::string(cluster.demands[below(random, cluster.demands.size())].job));
      const int rounds = cluster.settle(100, [&](const Plan& plan) {
        for (const SizeChange& change : plan.resizes) {
          moved += change.because.empty() ? 0 : 1;
          with_gpus += !change.because.empty() && cluster.demand(change.job).gpus > 0 ? 1 : 0;
        }
      });
      ASSERT_LT(rounds, 100) << "seed " << seed << ", job " << number << ": no rest";
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(moved, 500U);
  EXPECT_GT(with_gpus, 100U);
}

}  // namespace
}  // namespace ds::scheduler
