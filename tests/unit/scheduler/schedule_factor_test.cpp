#include "scheduler/spec/schedule_factor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace ds::scheduler {
namespace {

ScheduleSpec named(const std::string& name, std::uint64_t warmup = 0, double final = 0) {
  ScheduleSpec schedule;
  schedule.name = name;
  schedule.warmup = warmup;
  schedule.final = final;
  return schedule;
}

TEST(ScheduleFactor, IsOneWithoutASchedule) {
  for (const std::uint64_t step : {0U, 5U, 99U}) EXPECT_EQ(schedule_factor({}, step, 100), 1);
}

TEST(ScheduleFactor, RisesDuringWarmUpWhateverTheName) {
  for (const char* name : {"constant", "linear", "cosine"}) {
    const ScheduleSpec schedule = named(name, 4);
    EXPECT_EQ(schedule_factor(schedule, 0, 100), 0.25);
    EXPECT_EQ(schedule_factor(schedule, 2, 100), 0.75);
    EXPECT_EQ(schedule_factor(schedule, 3, 100), 1);
    EXPECT_EQ(schedule_factor(schedule, 4, 100), 1);
  }
}

TEST(ScheduleFactor, FallsFromTheEndOfWarmUpToTheLastStep) {
  for (const double final : {0.0, 0.1, 1.0}) {
    for (const std::uint64_t warmup : {0U, 10U}) {
      for (std::uint64_t step = warmup; step < 111; ++step) {
        const double passed = static_cast<double>(step - warmup) / static_cast<double>(110 - warmup);
        const double cosine = final + (1 - final) * (1 + std::cos(std::numbers::pi * passed)) / 2;
        EXPECT_NEAR(schedule_factor(named("linear", warmup, final), step, 111), 1 - passed * (1 - final),
                    1e-15);
        EXPECT_NEAR(schedule_factor(named("cosine", warmup, final), step, 111), cosine, 1e-15);
      }
    }
    EXPECT_EQ(schedule_factor(named("linear", 0, final), 110, 111), final);
    EXPECT_NEAR(schedule_factor(named("cosine", 0, final), 110, 111), final, 1e-16);
  }
}

TEST(ScheduleFactor, NeverRisesAfterWarmUp) {
  for (const char* name : {"linear", "cosine"}) {
    double before = 1;
    for (std::uint64_t step = 7; step < 10'000; ++step) {
      const double factor = schedule_factor(named(name, 7, 0.01), step, 10'000);
      ASSERT_LE(factor, before) << name << " at " << step;
      ASSERT_GE(factor, 0.01);
      before = factor;
    }
  }
}

TEST(ScheduleFactor, IsCutAtEachMultipleOrAtGivenSteps) {
  ScheduleSpec schedule = named("step");
  schedule.factor = 0.5;
  schedule.every = 10;
  EXPECT_EQ(schedule_factor(schedule, 9, 100), 1);
  EXPECT_EQ(schedule_factor(schedule, 10, 100), 0.5);
  EXPECT_EQ(schedule_factor(schedule, 39, 100), 0.125);
  schedule.every = 0;
  schedule.at = {3, 50};
  EXPECT_EQ(schedule_factor(schedule, 2, 100), 1);
  EXPECT_EQ(schedule_factor(schedule, 3, 100), 0.5);
  EXPECT_EQ(schedule_factor(schedule, 99, 100), 0.25);
  schedule.warmup = 4;
  EXPECT_EQ(schedule_factor(schedule, 2, 100), 0.75);
  EXPECT_EQ(schedule_factor(schedule, 3, 100), 0.5);
}

TEST(ScheduleFactor, IsFiniteForJobsOfAnyLength) {
  for (const char* name : {"linear", "cosine"}) {
    EXPECT_EQ(schedule_factor(named(name), 0, 1), 1) << "a job of one step makes it";
    EXPECT_EQ(schedule_factor(named(name, 5), 4, 5), 1);
    EXPECT_EQ(schedule_factor(named(name, 5), 4, 3), 1);
    EXPECT_EQ(schedule_factor(named(name, 0, 0.5), 1'000'000, 100), 0.5);
  }
  ScheduleSpec schedule = named("step");
  schedule.every = 1;
  EXPECT_EQ(schedule_factor(schedule, 1'000'000'000'000, 1'000'000'000'001), 0);
}

}  // namespace
}  // namespace ds::scheduler
