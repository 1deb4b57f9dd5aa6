#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"

namespace ds::scheduler {
namespace {

using testing::ClusterModel;
using testing::codes_of;
using testing::text_of;
using Codes = std::vector<std::string>;

class Preempting : public ::testing::Test {
 protected:
  void add(const std::string& job, WorkerCount workers, std::uint32_t priority, std::uint32_t slots = 1) {
    cluster_.add_job(job, workers, slots);
    cluster_.demands.back().priority = priority;
  }
  std::set<std::string> preempted(const Plan& plan) {
    std::set<std::string> jobs;
    for (const Preemption& one : plan.preemptions) jobs.insert(one.job);
    return jobs;
  }
  ClusterModel cluster_;
};

TEST_F(Preempting, TakesTheMostUrgentFirstWhateverCameEarlier) {
  cluster_.add_node("n1", 2);
  add("early", {2, 2}, kNormalPriority);
  add("urgent", {2, 2}, kHighPriority);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"urgent", "n1", 2}}));
  EXPECT_EQ(codes_of(plan, "early"), Codes{"no_capacity_now"});
}

TEST_F(Preempting, SaysThatAMoreUrgentJobIsAhead) {
  cluster_.add_node("n1", 4);
  add("running", {4, 4}, kCriticalPriority);
  cluster_.settle();
  add("early", {1, 1}, kNormalPriority);
  add("urgent", {2, 2}, kHighPriority);
  add("late", {1, 1}, kNormalPriority);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(codes_of(plan, "early"), (Codes{"priority_behind", "no_capacity_now"}));
  EXPECT_EQ(text_of(plan, "early"),
            "needs 1 worker of 1 slot, and 1 job of higher priority must start first");
  EXPECT_EQ(text_of(plan, "late"),
            "needs 1 worker of 1 slot, and 2 jobs of higher priority or submitted earlier must start first");
}

TEST_F(Preempting, ShrinksBeforeItPreempts) {
  cluster_.add_node("n1", 4);
  add("elastic", {1, 3}, kNormalPriority);
  add("fixed", {1, 1}, kLowPriority);
  cluster_.settle();
  add("urgent", {2, 2}, kHighPriority);
  const Plan plan = cluster_.plan();
  EXPECT_TRUE(plan.preemptions.empty());
  EXPECT_EQ(plan.releases.size(), 2U);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("elastic"), 1U);
  EXPECT_EQ(cluster_.live("fixed"), 1U);
  EXPECT_EQ(cluster_.live("urgent"), 2U);
}

TEST_F(Preempting, NeverShrinksAMoreUrgentJob) {
  cluster_.add_node("n1", 4);
  add("urgent", {1, 4}, kHighPriority);
  cluster_.settle();
  add("normal", {1, 1}, kNormalPriority);
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

TEST_F(Preempting, StopsALessUrgentGangAsAWholeAndLetsItComeBack) {
  cluster_.add_node("n1", 4);
  add("low", {3, 4}, kLowPriority);
  cluster_.settle();
  add("high", {2, 2}, kHighPriority);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(plan.preemptions, (std::vector<Preemption>{{"low", "high"}}));
  EXPECT_EQ(plan.releases.size(), 4U);
  EXPECT_EQ(codes_of(plan, "low"), (Codes{"priority_behind", "no_capacity_now"}));
  cluster_.settle();
  EXPECT_EQ(cluster_.live("high"), 2U);
  EXPECT_EQ(cluster_.live("low"), 0U);
  EXPECT_EQ(codes_of(cluster_.plan(), "low"), Codes{"no_capacity_now"});
  cluster_.end_job("high");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("low"), 4U);
}

TEST_F(Preempting, NamesOnlyThoseAheadOfAPreemptedJob) {
  cluster_.add_node("n1", 2);
  add("normal", {2, 2}, kNormalPriority);
  cluster_.settle();
  for (const char* later : {"a", "b", "c"}) add(later, {1, 1}, kLowPriority);
  add("urgent", {2, 2}, kCriticalPriority);
  const Plan plan = cluster_.plan();
  ASSERT_EQ(preempted(plan), std::set<std::string>{"normal"});
  EXPECT_EQ(text_of(plan, "normal"),
            "needs 2 workers of 1 slot each, and 1 job of higher priority must start first");
}

TEST_F(Preempting, NeverPreemptsAnEquallyUrgentJob) {
  cluster_.add_node("n1", 2);
  add("first", {2, 2}, kHighPriority);
  cluster_.settle();
  add("second", {2, 2}, kHighPriority);
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

TEST_F(Preempting, LeavesAJobAloneThatIsNotPreemptible) {
  cluster_.add_node("n1", 4);
  add("elastic", {1, 3}, kLowPriority);
  add("fixed", {1, 1}, kLowPriority);
  cluster_.demand("elastic").preemptible = cluster_.demand("fixed").preemptible = false;
  cluster_.settle();
  ASSERT_EQ(cluster_.live("elastic"), 3U);
  add("urgent", {2, 2}, kCriticalPriority);
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

TEST_F(Preempting, WaitsUntilAGangHasRunForAMinuteUnlessTheJobIsCritical) {
  cluster_.add_node("n1", 2);
  add("young", {2, 2}, kLowPriority);
  cluster_.settle();
  cluster_.demand("young").is_young = true;
  add("high", {2, 2}, kHighPriority);
  const Plan plan = cluster_.plan();
  EXPECT_TRUE(plan.releases.empty());
  EXPECT_EQ(text_of(plan, "high"),
            "needs 2 workers of 1 slot each at once, and 0 fit now: 0 of 2 slots are free; 1 job that can be "
            "preempted for it has not run for 60 s yet");
  cluster_.demand("high").priority = kCriticalPriority;
  EXPECT_EQ(cluster_.plan().preemptions, (std::vector<Preemption>{{"young", "high"}}));
}

TEST_F(Preempting, TakesTheLowestPrioritiesThatAreEnough) {
  cluster_.add_node("n1", 4);
  add("normal", {2, 2}, kNormalPriority);
  add("low", {2, 2}, kLowPriority);
  cluster_.settle();
  add("high", {1, 1}, kHighPriority);
  EXPECT_EQ(preempted(cluster_.plan()), std::set<std::string>{"low"});
  cluster_.demand("high").workers = {3, 3};
  EXPECT_EQ(preempted(cluster_.plan()), (std::set<std::string>{"low", "normal"}));
}

TEST_F(Preempting, LosesTheFewestSlotsAndOfEqualsTheNewest) {
  cluster_.add_node("n1", 10);
  add("three", {3, 3}, kLowPriority);
  add("two", {2, 2}, kLowPriority);
  add("another two", {2, 2}, kLowPriority);
  add("another three", {3, 3}, kLowPriority);
  cluster_.settle();
  add("high", {3, 3}, kHighPriority);
  EXPECT_EQ(preempted(cluster_.plan()), std::set<std::string>{"another three"});
  cluster_.demand("high").workers = {4, 4};
  EXPECT_EQ(preempted(cluster_.plan()), (std::set<std::string>{"two", "another two"}));
}

TEST_F(Preempting, FindsTheJobsWhoseNodesHelp) {
  cluster_.add_node("narrow", 1);
  cluster_.add_node("wide", 2);
  add("small", {1, 1}, kLowPriority);
  add("large", {1, 1}, kLowPriority, 2);
  cluster_.settle();
  add("high", {1, 1}, kHighPriority, 2);
  EXPECT_EQ(preempted(cluster_.plan()), std::set<std::string>{"large"});
}

TEST_F(Preempting, StopsNobodyWhenThatWouldNotBeEnough) {
  cluster_.add_node("n1", 4);
  add("equal", {2, 2}, kHighPriority);
  add("low", {2, 2}, kLowPriority);
  cluster_.settle();
  add("high", {3, 3}, kHighPriority);
  EXPECT_TRUE(cluster_.plan().releases.empty());
}

TEST_F(Preempting, StopsNoMoreThanNeededOfManyJobs) {
  cluster_.add_node("n1", 40);
  for (int i = 0; i < 20; ++i) add("low" + std::to_string(i), {2, 2}, kLowPriority);
  cluster_.settle();
  add("high", {7, 7}, kHighPriority);
  const Plan plan = cluster_.plan();
  EXPECT_EQ(preempted(plan), (std::set<std::string>{"low16", "low17", "low18", "low19"}));
}

TEST_F(Preempting, GrowsTheMostUrgentJobFirst) {
  cluster_.add_node("n1", 6);
  add("normal", {1, 6}, kNormalPriority);
  add("high", {1, 4}, kHighPriority);
  cluster_.settle();
  EXPECT_EQ(cluster_.live("high"), 4U);
  EXPECT_EQ(cluster_.live("normal"), 2U);
}

/// Every cluster of one or two small nodes with three jobs of every shape, priority and beginning comes to
/// rest, and on the way nobody loses its workers to an equal or less urgent job.
TEST(PreemptionLoops, DoNotExistInAnySmallCluster) {
  struct Shape {
    WorkerCount workers;
    SlotCount slots;
  };
  constexpr std::array<Shape, 6> kShapes{{{{1, 1}, 1},
                                          {{1, 3}, 1},
                                          {{2, 2}, 1},
                                          {{3, 3}, 1},
                                          {{1, 2}, 2},
                                          {{1, 2}, SlotCount::of_thousandths(1500)}}};
  constexpr std::array<std::uint32_t, 3> kPriorities{kLowPriority, kNormalPriority, kHighPriority};
  constexpr int kKinds = kShapes.size() * kPriorities.size();
  const std::vector<std::vector<std::uint32_t>> node_sets{{3}, {2, 2}, {4}, {1, 3}};
  std::size_t preemptions = 0;
  testing::Random random(7);
  for (int code = 0; code < kKinds * kKinds * kKinds; ++code) {
    for (const auto& sizes : node_sets) {
      for (unsigned running = 0; running < 8; ++running) {
        ClusterModel cluster;
        for (std::size_t i = 0; i < sizes.size(); ++i) cluster.add_node("n" + std::to_string(i), sizes[i]);
        for (int job = 0, rest = code; job < 3; ++job, rest /= kKinds) {
          const Shape& shape = kShapes[static_cast<std::size_t>(rest % kKinds) % kShapes.size()];
          cluster.add_job(std::string(1, static_cast<char>('a' + job)), shape.workers, shape.slots);
          cluster.demands.back().priority =
              kPriorities[static_cast<std::size_t>(rest % kKinds) / kShapes.size()];
          if (code % 2 == 1) testing::add_random_curve(cluster.demands.back(), random);
          cluster.demands.back().lasts_ms = 10'000 * ((code + job) % 4);
        }
        // Those of the set ran when the others came, in whatever way they had got in.
        cluster.settle_alone(running);
        const int rounds = cluster.settle(30, [&](const Plan& plan) {
          preemptions += plan.preemptions.size();
          for (const Preemption& one : plan.preemptions)
            ASSERT_LT(cluster.demand(one.job).priority, cluster.demand(one.by).priority);
        });
        ASSERT_LT(rounds, 30) << "jobs " << code << ", running " << running << ": it does not come to rest";
      }
    }
  }
  EXPECT_GT(preemptions, 1'000U);
}

TEST(Preempt, NobodyTakesReplicasBecauseTheirJobWantsAnother) {
  for (const bool goes_on : {false, true}) {
    ClusterModel cluster;
    cluster.add_node("n", 2);
    cluster.add_job("replicas", {1, 1});
    cluster.demand("replicas").preemptible = false;
    cluster.demand("replicas").works_with_fewer = goes_on;
    cluster.add_job("other", {1, 1});
    cluster.demand("other").preemptible = false;
    cluster.settle();
    cluster.demand("replicas").workers = {2, 2};
    cluster.add_job("urgent", {1, 1});
    cluster.demand("urgent").priority = kCriticalPriority;
    cluster.settle();
    EXPECT_EQ(cluster.live("replicas"), goes_on ? 1U : 0U);
    EXPECT_EQ(cluster.live("urgent"), goes_on ? 0U : 1U)
        << "a gang that lacks workers does nothing with them";
  }
}

}  // namespace
}  // namespace ds::scheduler
