#include "scheduler/simulator/experience.hpp"

#include <gtest/gtest.h>

#include "scheduler/simulator/pollux_job.hpp"
#include "tests/unit/scheduler/family_test.hpp"
#include "tests/unit/scheduler/simulator_profile.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::simulator {
namespace {

scheduler::StepMeasured step(std::uint32_t slots, double batch, double step_s) {
  return {1, slots, batch, step_s, step_s};
}

TEST(Experience, SaysNothingBeforeTheFirstStepAndThenWhatFitsTheSteps) {
  Experience experience(1);
  EXPECT_FALSE(experience.speed_on(0));
  EXPECT_EQ(experience.most_slots(), 0U);
  experience.add_step(0, step(1, 10, 1));
  experience.add_step(0, step(1, 20, 2));
  experience.add_step(0, step(2, 10, 1));
  ASSERT_TRUE(experience.speed_on(0));
  EXPECT_NEAR(experience.speed_on(0)->step_s(1, 1, 15), 1.5, 0.05);
  EXPECT_EQ(experience.most_slots(), 2U);
}

TEST(Experience, TakesTheNetworkOfAKindThatSeveralSlotsOfWereUsed) {
  Experience experience(2);
  for (const std::size_t kind : {0U, 1U}) {
    experience.add_step(kind, step(1, 10, kind == 0 ? 1 : 0.5));
    experience.add_step(kind, step(1, 20, kind == 0 ? 2 : 1));
  }
  const double alone_s = experience.speed_on(1)->step_s(1, 2, 10);
  experience.add_step(0, {1, 2, 10, 1.5, 1});
  EXPECT_GT(experience.speed_on(1)->step_s(1, 2, 10), alone_s + 0.2);
}

TEST(Experience, IsOfJobsWithTheSameBatchLimitsOnly) {
  Experiences experiences(1);
  const scheduler::BatchLimits limits{10, 40, 5, 10};
  auto other = limits;
  other.max = 80;
  EXPECT_EQ(experiences.of(limits), experiences.of(limits));
  EXPECT_NE(experiences.of(limits), experiences.of(other));
}

TEST(Experience, OfAJobThatRunsIsThatOfTheNextOneLikeItButNotWhatIsLeftOfEither) {
  const TemporaryFolder folder;
  write_small_profiles(folder.path());
  const auto applications = read_applications(folder.path());
  ASSERT_TRUE(applications) << applications.error().text;
  const auto experience = std::make_shared<Experience>(1);
  const auto make = [&](std::uint32_t id) {
    return PolluxJob(id, PolluxSubmission{"job", 0, {&applications->at("bert")}, 1, 10},
                     PolluxSettings{.adapts_batch = true, .experience = experience});
  };
  PolluxJob first = make(0);
  const PolluxJob second = make(1);
  EXPECT_FALSE(second.view().speed);
  first.give({0}, 60);
  first.advance(60, 60);
  ASSERT_TRUE(second.view().speed);
  EXPECT_EQ(second.view().max_slots, 2U);
  EXPECT_EQ(second.view().progress, 0);
  EXPECT_EQ(second.view().noise.variance, first.view().noise.variance);
  EXPECT_FALSE(experience->work(first.view().progress));
  EXPECT_EQ(second.view().usual_work, 2 * first.view().progress);
  for (double now_s = 120; !first.is_done(); now_s += 60) first.advance(now_s, 60);
  EXPECT_EQ(second.view().usual_work, 200);
}

class LearnsAlone : public FamilyTest {
 protected:
  /// When the last job ends, which comes long after those that came before it are done.
  double last_done_s(const std::string& family, const std::string& policy, const std::string& before) {
    write("jobs.csv", "name,time,application,num_replicas,batch_size\n" + before + "last,6000,bert,1,10\n");
    command_.family = family;
    command_.policy = policy;
    command_.profiles = at("profiles");
    command_.workload = at("jobs.csv");
    command_.cluster = family == "sia" ? "1x4:slow+1x4:fast" : "2x4";
    command_.as_json = true;
    return report().at("makespan_s");
  }

  void SetUp() override {
    write_small_profiles(folder_.path() / "profiles");
    // More slots are worth having: noise makes larger batches gain, and they cost little.
    for (const char* batch : {"10", "40"})
      write(std::string("profiles/bert/validation-") + batch + ".csv",
            "progress,iteration,metric,grad_sqr,grad_var\n1000,1000,1,1,9\n2000,2000,2,1,9\n");
    for (const char* table : {"placements", "scalability"}) {
      const std::string path = at(std::string("profiles/bert/") + table);
      for (const char* kind : {"slow", "fast"})
        std::filesystem::copy(path + ".csv", path + "-" + kind + ".csv");
    }
  }
};

TEST_F(LearnsAlone, WhatOtherJobsHaveShownChangesNothingUnlessTheyAreThere) {
  for (const char* family : {"pollux", "sia"}) {
    const double alone_s = last_done_s(family, "ds_alone", "");
    EXPECT_EQ(alone_s, last_done_s(family, "ds", "")) << family;
    for (const char* before : {"a,0,bert,1,10\n", "a,0,bert,2,20\nb,0,bert,4,40\nc,500,bert,1,10\n"}) {
      EXPECT_EQ(last_done_s(family, "ds_alone", before), alone_s) << family;
      EXPECT_LT(last_done_s(family, "ds", before), alone_s) << family;
    }
  }
}

}  // namespace
}  // namespace ds::simulator
