#include "scheduler/policy/elastic/kinds_of_gpu.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace ds::scheduler {
namespace {

/// Two nodes of a slow kind of GPU, one of a fast one.
class KindsOfGpu : public ::testing::Test {
 protected:
  /// A job whose steps take so long on either kind, and no time for the network.
  static ElasticJob job(std::uint32_t id, double slow_s, double fast_s, std::uint32_t max_slots = 1) {
    ElasticJob job;
    job.id = id;
    job.max_slots = max_slots;
    job.noise = {.squared_norm = 1e-9, .variance = 1};
    for (const double step_s : {slow_s, fast_s})
      job.on_kinds.push_back({.batch = {.base = 8, .max = 64, .min_per_slot = 8, .max_per_slot = 8},
                              .speed = SpeedModel{.compute_base = step_s, .overlap = 1}});
    job.batch = job.on_kinds.front().batch;
    job.speed = job.on_kinds.front().speed;
    return job;
  }

  ElasticCluster cluster_{.slots = {2, 2, 2}, .kinds = {0, 0, 1}};
};

TEST_F(KindsOfGpu, TheFastOnesGoToWhomTheyHelpMost) {
  const std::vector jobs{job(0, 1, 0.9), job(1, 1, 0.1), job(2, 1, 0.8), job(3, 1, 0.2)};
  const auto plan = plan_on_kinds(cluster_, jobs);
  for (const std::size_t helped : {1U, 3U}) EXPECT_EQ(plan[helped], (Slots{2})) << helped;
  for (const std::size_t other : {0U, 2U}) {
    ASSERT_EQ(plan[other].size(), 1U);
    EXPECT_LT(plan[other].front(), 2U) << other;
  }
}

TEST_F(KindsOfGpu, AJobAloneGetsTheKindOnWhichItIsFastestAndAsManyAsItMayHave) {
  EXPECT_EQ(plan_on_kinds(cluster_, std::vector{job(0, 1, 0.5, 2)}), (std::vector<Slots>{{2, 2}}));
  const auto plan = plan_on_kinds(cluster_, std::vector{job(0, 0.1, 0.5, 4)});
  EXPECT_EQ(plan.at(0), (Slots{0, 0, 1, 1}));
}

TEST_F(KindsOfGpu, AJobStaysWhereItIsWhenAnotherKindIsHardlyFaster) {
  ElasticJob running = job(0, 1, 0.95);
  running.slots = {1};
  running.run_s = 6000;
  running.restart_s = 60;
  EXPECT_EQ(plan_on_kinds(cluster_, std::vector{running}), (std::vector<Slots>{{1}}));
  running.restart_s = 0;
  EXPECT_EQ(plan_on_kinds(cluster_, std::vector{running}), (std::vector<Slots>{{2}}));
}

TEST_F(KindsOfGpu, NoNodeIsOverfullNoJobIsOnTwoKindsAndNoSlotIsIdleBesideAWaitingJob) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const auto pick = [&](std::uint32_t low, std::uint32_t high) {
      return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
    };
    ElasticCluster cluster;
    for (std::uint32_t kind = 0; kind < 3; ++kind) {
      cluster.kinds.insert(cluster.kinds.end(), pick(1, 3), kind);
      cluster.slots.resize(cluster.kinds.size(), 1U << pick(0, 3));
    }
    std::vector<std::uint32_t> free = cluster.slots;
    std::vector<ElasticJob> jobs;
    for (std::uint32_t id = 0; id < pick(1, 30); ++id) {
      jobs.push_back(job(id, 0.01 * pick(1, 100), 0.01 * pick(1, 100), 1U << pick(0, 4)));
      jobs.back().on_kinds.push_back(jobs.back().on_kinds[pick(0, 1)]);
      jobs.back().progress = pick(0, 100000);
      const std::uint32_t node = pick(0, static_cast<std::uint32_t>(free.size()) - 1);
      if (free[node] == 0) continue;
      --free[node];
      jobs.back().slots = {node};
      jobs.back().run_s = 60.0 * pick(1, 100);
    }
    const auto plan = plan_on_kinds(cluster, jobs);
    ASSERT_EQ(plan.size(), jobs.size());
    EXPECT_EQ(plan, plan_on_kinds(cluster, jobs)) << "seed " << seed;
    std::vector<std::uint32_t> used(cluster.slots.size(), 0);
    std::uint32_t given = 0;
    bool waits = false;
    for (std::size_t i = 0; i < plan.size(); ++i) {
      std::set<std::uint32_t> kinds;
      for (const std::uint32_t node : plan[i]) {
        ++used.at(node);
        kinds.insert(cluster.kind_of(node));
      }
      given += static_cast<std::uint32_t>(plan[i].size());
      waits |= plan[i].empty();
      EXPECT_LE(kinds.size(), 1U) << "seed " << seed << " job " << i;
      EXPECT_LE(plan[i].size(), jobs[i].max_slots) << "seed " << seed << " job " << i;
    }
    for (std::size_t node = 0; node < used.size(); ++node)
      EXPECT_LE(used[node], cluster.slots[node]) << "seed " << seed;
    EXPECT_TRUE(!waits || given == cluster.total()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ds::scheduler
