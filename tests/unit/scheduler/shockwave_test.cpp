#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "scheduler/simulator/shockwave_trace.hpp"
#include "tests/unit/scheduler/family_test.hpp"

namespace ds::simulator {
namespace {

constexpr const char* kTraces = "shockwave-nsdi23";

class Shockwave : public FamilyTest {
 protected:
  void SetUp() override {
    command_.family = "shockwave";
    command_.workload = at("epochs");
    command_.policy = "fifo";
    command_.cluster = "1x2";
    command_.as_json = true;
  }

  void write(const std::string& lines) const {
    FamilyTest::write(
        "epochs", std::string("job,arrival_s,model,mode,gpus,epochs,batch_size,seconds_per_epoch\n") + lines);
  }
};

TEST_F(Shockwave, JobsRunTheirEpochsAtTheSpeedOfEachOnTheSlotsTheyAskedFor) {
  // Seen at 120 s; 2 x 50 + 10 x 5 s. The second has to wait for both slots until the round at 360 s.
  write("0,0,LM,gns,1,2,10,50\n0,0,LM,gns,1,10,20,5\n1,30,LM,static,2,10,20,8\n");
  const auto result = report();
  EXPECT_EQ(result.at("jobs"), 2);
  EXPECT_EQ(result.at("makespan_s"), 360 + 80);
  EXPECT_EQ(result.at("average_jct_s"), (270 + 410) / 2.0);
  EXPECT_DOUBLE_EQ(result.at("worst_finish_time_ratio"), 410 / 80.0);
  EXPECT_EQ(result.at("unfair_share"), 1);
}

TEST_F(Shockwave, WhatAPlanSaysIsTheEpochsLeftAtThePresentSpeed) {
  RigidJob job(0, {"job", 0, 1, {{2, 50}, {10, 5}}}, 0);
  EXPECT_EQ(job.view().planned_s, 12 * 50);
  job.give({0}, 0);
  EXPECT_EQ(job.advance(0, 75), 75);
  EXPECT_EQ(job.view().progress, 1.5);
  EXPECT_EQ(job.view().planned_s, 10.5 * 50);
  job.advance(75, 50);
  EXPECT_EQ(job.view().progress, 7);
  EXPECT_EQ(job.view().planned_s, 5 * 5);
  EXPECT_EQ(job.advance(125, 120), 25);
  EXPECT_TRUE(job.is_done());
  EXPECT_EQ(job.done_s(), 150);
  EXPECT_EQ(job.alone_s(), 150);
  EXPECT_TRUE(job.view().is_rigid);
}

TEST_F(Shockwave, WrongTablesAreRefusedByTheirPlace) {
  write("0,0,LM,gns,1,2,10,0\n");
  EXPECT_EQ(refusal(), at("epochs") + ":2:19: seconds_per_epoch: expected a number above 0, got \"0\"");
  write("0,0,LM,gns,1,2,10,5\n0,9,LM,gns,1,2,10,5\n");
  EXPECT_EQ(refusal(), at("epochs") + ":3:3: arrival_s: 0 came at 0 s in its first row");
  write("0,0,LM,gns,1,2,10,5\n0,0,LM,gns,2,2,10,5\n");
  EXPECT_EQ(refusal(), at("epochs") + ":3:12: gpus: 0 asked for 1 in its first row");
  write("0,0,LM,gns,1,2,10,5\n1,0,LM,gns,1,2,10,5\n0,0,LM,gns,1,2,10,5\n");
  EXPECT_EQ(refusal(), at("epochs") + ":4:1: job: the rows of 0 must stand one below the other");
}

TEST_F(Shockwave, WhatCannotRunRigidJobsIsRefused) {
  write("0,0,LM,gns,1,2,10,5\n");
  for (const char* policy : {"drf", "optimus"}) {
    command_.policy = policy;
    EXPECT_EQ(refusal(), std::string("--policy: ") + policy +
                             " does not suit the jobs of --family shockwave; choose one of ds, fifo, live, "
                             "live_least_attained, "
                             "tiresias, tiresias_queues");
  }
}

TEST_F(Shockwave, AJobThatTheClusterCannotHoldIsNamed) {
  write("wide,0,LM,gns,3,2,10,5\n");
  for (const char* policy : {"ds", "fifo", "tiresias"}) {
    command_.policy = policy;
    EXPECT_EQ(refusal(),
              at("epochs") +
                  ":2:15: wide needs 3 slots and could never start: the cluster has 2; name a larger "
                  "--cluster, or leave it out");
  }
}

TEST_F(Shockwave, DsEndsSoonerOnAverageAndInAllAndFairerThanShockwaveIsPublishedTo) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  command_.workload = (published_traces(kTraces) / "trace-120jobs-epochs.csv").string();
  command_.policy = "ds";
  command_.cluster.reset();
  const auto result = report();
  EXPECT_EQ(result.at("jobs"), 120);
  EXPECT_LE(result.at("makespan_s"), 24197);
  EXPECT_LE(result.at("average_jct_s"), 9655);
  EXPECT_LE(result.at("worst_finish_time_ratio"), 1.78);
  // Work is conserved: the traces' README gives 176.6 GPU-hours.
  EXPECT_NEAR(result.at("gpu_hours"), 176.6, 0.05);
}

}  // namespace
}  // namespace ds::simulator
