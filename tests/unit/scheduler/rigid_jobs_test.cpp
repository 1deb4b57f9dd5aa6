#include "scheduler/policy/elastic/rigid_jobs.hpp"

#include <gtest/gtest.h>

namespace ds::scheduler {
namespace {

class RigidJobs : public ::testing::Test {
 protected:
  static ElasticJob waiting(std::uint32_t id, std::uint32_t slots, double planned_s) {
    ElasticJob job;
    job.id = id;
    job.is_rigid = true;
    job.requested_slots = slots;
    job.planned_s = planned_s;
    return job;
  }

  std::vector<std::size_t> plan(const std::vector<ElasticJob>& jobs, double now_s = 0) const {
    std::vector<std::size_t> counts;
    for (const Slots& slots : plan_rigid_jobs(cluster_, jobs, now_s)) counts.push_back(slots.size());
    return counts;
  }

  ElasticCluster cluster_{.slots = {2, 2}, .restart_s = 0};
};

TEST_F(RigidJobs, TheLeastWorkGoesFirstAndWhoDoesNotFitIsPassedOver) {
  // Work of 4,000, 600, 1,000 and 900 slot-seconds.
  EXPECT_EQ(plan({waiting(0, 4, 1000), waiting(1, 3, 200), waiting(2, 2, 500), waiting(3, 1, 900)}),
            (std::vector<std::size_t>{0, 3, 0, 1}));
}

TEST_F(RigidJobs, OneThatAloneTakesAsLongAsAllWorkTogetherGoesFirst) {
  std::vector<ElasticJob> jobs;
  for (std::uint32_t id = 0; id < 40; ++id) jobs.push_back(waiting(id, 1, 100));
  jobs.push_back(waiting(40, 1, 1000));  // all work takes 5,000 / 4 s
  EXPECT_EQ(plan(jobs).back(), 0U);
  jobs.back().planned_s = 10000;
  EXPECT_EQ(plan(jobs).back(), 1U);
}

TEST_F(RigidJobs, OneThatHasWaitedOutOfProportionGoesFirst) {
  std::vector<ElasticJob> jobs{waiting(0, 1, 1000)};
  for (std::uint32_t id = 1; id < 21; ++id) {
    jobs.push_back(waiting(id, 4, 100));
    jobs.back().submitted_s = 12000;
  }
  // 21 jobs on 4 slots: 2.5 times a share is 13.1 times the time alone.
  EXPECT_EQ(plan(jobs, 12000).front(), 0U);
  EXPECT_EQ(plan(jobs, 12200).front(), 1U);
}

TEST_F(RigidJobs, ARunningOneIsNotStoppedForLessThanARestart) {
  ElasticJob running = waiting(0, 4, 100);
  running.slots = {0, 0, 1, 1};
  cluster_.restart_s = 60;
  EXPECT_EQ(plan({running, waiting(1, 4, 50)}), (std::vector<std::size_t>{4, 0}));
  EXPECT_EQ(plan({running, waiting(1, 4, 30)}), (std::vector<std::size_t>{0, 4}));
}

TEST_F(RigidJobs, WhoGoesOnKeepsItsSlots) {
  ElasticJob running = waiting(0, 1, 100);
  running.slots = {1};
  const auto plan = plan_rigid_jobs(cluster_, std::vector{waiting(1, 1, 50), running, waiting(2, 2, 60)}, 0);
  EXPECT_EQ(plan[1], (Slots{1}));
  EXPECT_EQ(plan[0].size(), 1U);
  EXPECT_EQ(plan[2].size(), 2U);
}

TEST_F(RigidJobs, WithoutAPlanTheOneThatHasRunLeastGoesFirst) {
  ElasticJob old = waiting(0, 4, 0);
  old.planned_s.reset();
  old.run_s = 5000;
  old.submitted_s = 0;
  ElasticJob young = old;
  young.run_s = 300;
  young.submitted_s = 4700;
  EXPECT_EQ(plan({old, young}, 5000), (std::vector<std::size_t>{0, 4}));  // whose end decides nobody knows
  ElasticJob third = young;
  EXPECT_EQ(plan({old,   young, third, third, third, third, third, third, third, third,
                  third, third, third, third, third, third, third, third, third, third},
                 5000)
                .front(),
            0U);
}

TEST_F(RigidJobs, OneThatCanNeverFitKeepsNobodyWaiting) {
  EXPECT_EQ(plan({waiting(0, 5, 1e6), waiting(1, 4, 100)}), (std::vector<std::size_t>{0, 4}));
}

}  // namespace
}  // namespace ds::scheduler
