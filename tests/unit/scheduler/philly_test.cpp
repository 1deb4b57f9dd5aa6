#include <gtest/gtest.h>

#include <string>

#include "tests/unit/scheduler/family_test.hpp"

namespace ds::simulator {
namespace {

constexpr const char* kTraces = "philly-jobs";
constexpr const char* kFields = "timestamp,duration,num_gpus,gpu_time,cluster\n";

/// Two slots; jobs are planned each minute and start at once.
class Philly : public FamilyTest {
 protected:
  void SetUp() override {
    command_.family = "philly";
    command_.workload = at("jobs");
    command_.policy = "fifo";
    command_.cluster = "1x2";
    command_.restart_s = 0;
    command_.as_json = true;
  }

  void write_jobs(const std::string& lines) const { write("jobs", kFields + lines); }
};

TEST_F(Philly, JobsRunForTheirTimeOnWhatTheyAskedForFromTheFirstSubmissionOn) {
  write_jobs("2017-10-01 00:01:00,100.0,2,200.0,a\n2017-09-30 23:59:00,90.0,1,90.0,b\n");
  const auto result = report();
  EXPECT_EQ(result.at("jobs"), 2);
  EXPECT_EQ(result.at("makespan_s"), 180 + 100);  // the first ends at 150, within a round
  EXPECT_EQ(result.at("average_jct_s"), (150 + 160) / 2.0);
  EXPECT_EQ(result.at("gpu_hours"), (90 + 200) / 3600.0);
}

TEST_F(Philly, LiveJobsGoByTheHeadsRulesASecondAfterEachEvent) {
  command_.policy = "live";
  command_.round_s = 1;
  // The third fits beside the first and must not overtake the second, which needs both slots.
  write_jobs(
      "2017-10-01 00:00:00,100,1,100,a\n2017-10-01 00:00:10,50,2,100,a\n2017-10-01 00:00:20,30,1,30,a\n");
  const auto result = report();
  EXPECT_EQ(result.at("average_jct_s"), (100 + (150 - 10) + (180 - 20)) / 3.0);
  EXPECT_EQ(result.at("restarts"), 3) << "nothing is taken back";
}

TEST_F(Philly, DsLetsShortJobsPassWithoutBeingToldWhichAreShort) {
  std::string jobs = "2017-10-01 00:00:00,100000,2,200000,a\n";
  for (int hour = 1; hour < 10; ++hour)
    jobs += "2017-10-01 0" + std::to_string(hour) + ":00:00,300,1,300,b\n";
  write_jobs(jobs);
  EXPECT_GT(report().at("p50_jct_s"), 50000);
  command_.policy = "ds";
  EXPECT_LT(report().at("p50_jct_s"), 400);
}

TEST_F(Philly, EqualJobsWithoutAPlanDontTakeTurnsEachRound) {
  command_.policy = "ds";
  command_.restart_s = 30;
  write_jobs("2017-10-01 00:00:00,50000,2,100000,a\n2017-10-01 00:00:00,50000,2,100000,a\n");
  EXPECT_LT(report().at("restarts"), 25);
}

TEST_F(Philly, WhatIsNoTimeIsRefusedByItsPlace) {
  for (const std::string time : {"2017-10-01", "2017-13-01 00:00:00", "2017-02-30 00:00:00",
                                 "2017-10-01 24:00:00", "2017-10-01 00:00:00x"}) {
    write_jobs(time + ",100.0,2,200.0,a\n");
    EXPECT_EQ(refusal(), at("jobs") + ":2:1: timestamp: expected YYYY-MM-DD hh:mm:ss, got \"" + time + "\"");
  }
  write_jobs("2017-10-01 00:00:00,0,2,200.0,a\n");
  EXPECT_EQ(refusal(), at("jobs") + ":2:21: duration: expected a number above 0, got \"0\"");
}

TEST(PhillyTraces, DsEndsJobsSoonerThanTiresiasOnACrowdedClusterAndTheSlowestToo) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  Command command;
  command.family = "philly";
  command.workload = (published_traces(kTraces) / "philly-until-2017-10-22.csv").string();
  command.policy = "tiresias";
  command.as_json = true;
  const auto theirs = report_of(command);
  command.policy = "ds";
  const auto ours = report_of(command);
  EXPECT_EQ(ours.at("jobs"), 41869);
  for (const char* field :
       {"average_jct_s", "p50_jct_s", "p90_jct_s", "p99_jct_s", "worst_finish_time_ratio"})
    EXPECT_LE(ours.at(field), theirs.at(field)) << field;
}

}  // namespace
}  // namespace ds::simulator
