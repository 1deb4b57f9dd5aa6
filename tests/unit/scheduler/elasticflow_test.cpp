#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>

#include "scheduler/simulator/csv_table.hpp"
#include "scheduler/simulator/workload.hpp"
#include "tests/unit/scheduler/family_test.hpp"

namespace ds::simulator {
namespace {

constexpr const char* kTraces = "elasticflow-asplos23";

constexpr const char* kSizes = "global_batch_size,1,2,4,8,16,32,64\n";
constexpr const char* kFields = "job_id,submit_time,iteration,model_name,ddl,batch_size,num_gpu,duration\n";

/// One model: a step a second on one slot, 1.5 on two, none on more.
class ElasticFlow : public FamilyTest {
 protected:
  void SetUp() override {
    write("bert.csv", std::string(kSizes) + "8,1,1.5,nan,,0,nan,nan\n");
    command_.family = "elasticflow";
    command_.profiles = folder_.path().string();
    command_.workload = at("jobs");
    command_.policy = "fifo";
    command_.cluster = "1x2";
    command_.as_json = true;
  }

  void write_jobs(const std::string& lines) const { write("jobs", kFields + lines); }
};

TEST_F(ElasticFlow, JobsMakeTheirStepsAtTheMeasuredRateAndDeadlinesCountFromTheSameClock) {
  // Seen after 60 s and 30 s from their start on: 60 + 30 + 300 / 1.5; the second from 300, 30 + 100 / 1.
  write_jobs("late,1000060,100,bert,1000430,8,1,100\nfirst,1000000,300,bert,1000291,8,2,200\n");
  auto result = report();
  EXPECT_EQ(result.at("jobs"), 2);
  EXPECT_EQ(result.at("makespan_s"), 430);
  EXPECT_EQ(result.at("average_jct_s"), (290 + 370) / 2.0);
  EXPECT_EQ(result.at("deadlines_met"), 1);  // 290 is before 291, 430 is not before 430
  command_.restart_s = 0;
  result = report();
  EXPECT_EQ(result.at("makespan_s"), 400);  // 60 + 200, then from 300 on
  EXPECT_EQ(result.at("deadlines_met"), 2);
}

TEST_F(ElasticFlow, FewerSlotsThanAskedForAreAsSlowAsMeasuredAndLateJobsStillRun) {
  command_.policy = "drf";
  command_.restart_s = 0;
  write_jobs("a,0,240,bert,299,8,2,160\nb,0,240,bert,301,8,2,160\n");
  const auto result = report();
  EXPECT_EQ(result.at("makespan_s"), 300);  // a slot each, a step a second
  EXPECT_EQ(result.at("deadlines_met"), 1);
}

TEST_F(ElasticFlow, OfSlotsBetweenTheMeasuredNumbersTheLargestMeasuredOneIsUsed) {
  StepRates rates;
  rates.add(2, 5);
  rates.add(8, 3);
  EXPECT_EQ(rates.at(1), 0);
  EXPECT_EQ(rates.at(2), 5);
  EXPECT_EQ(rates.at(7), 5);
  EXPECT_EQ(rates.at(8), 3);
  EXPECT_EQ(rates.at(64), 3);
}

TEST_F(ElasticFlow, AStoppedJobKeepsItsStepsAndPaysForItsRestart) {
  StepRates rates;
  rates.add(1, 2);
  ElasticFlowJob job(0, {"job", 0, 500, 200, &rates, 1}, 30);
  job.give({0}, 0);
  EXPECT_EQ(job.advance(0, 60), 30);
  job.give({}, 60);
  EXPECT_EQ(job.advance(60, 60), 0);
  job.give({0}, 120);
  EXPECT_EQ(job.view().progress, 60);
  EXPECT_EQ(job.view().restarts, 2U);
  EXPECT_EQ(job.advance(120, 60), 30);
  EXPECT_EQ(job.advance(180, 60), 40);
  EXPECT_TRUE(job.is_done());
  EXPECT_EQ(job.done_s(), 220);
  EXPECT_EQ(job.view().attained_slot_s, 60 + 60 + 40);
  EXPECT_EQ(job.alone_s(), 130);
}

TEST_F(ElasticFlow, WhatWasNotMeasuredIsRefusedByItsPlace) {
  write_jobs("a,0,10,gpt,100,8,1,10\n");
  EXPECT_EQ(refusal(), at("jobs") + ":2:8: model_name: there are no throughputs of \"gpt\", only of bert");
  write_jobs("a,0,10,bert,100,9,1,10\n");
  EXPECT_EQ(refusal(), at("jobs") + ":2:17: batch_size: bert was not measured with batches of 9");
  for (const char* slots : {"3", "4", "8", "16"}) {  // between sizes, nan, empty and 0
    write_jobs(std::string("a,0,10,bert,100,8,") + slots + ",10\n");
    EXPECT_EQ(refusal(),
              at("jobs") + ":2:19: num_gpu: bert was not measured with batches of 8 on " + slots + " slots");
  }
}

TEST_F(ElasticFlow, WrongTablesAreRefusedByTheirPlace) {
  write_jobs("a,0,10,bert,100,8,1,10\n");
  write("bert.csv", std::string(kSizes) + "8,1,-2,nan,nan,nan,nan,nan\n");
  EXPECT_EQ(refusal(), at("bert.csv") + ":2:5: 2: expected a number from 0, got \"-2\"");
  write("bert.csv", std::string(kSizes) + "8,1,2,4,4,4,4,4\n8,1,2,4,4,4,4,4\n");
  EXPECT_EQ(refusal(), at("bert.csv") + ":3:1: global_batch_size: 8 has a row already");
  command_.profiles = at("nowhere");
  EXPECT_EQ(refusal(), at("nowhere") + ": there is no such folder of throughputs");
  std::filesystem::create_directory(at("empty"));
  command_.profiles = at("empty");
  EXPECT_EQ(refusal(), at("empty") + ": has no MODEL.csv with the throughputs of a model");
}

TEST_F(ElasticFlow, PoliciesThatNeedWhatTheTracesDontHaveAreRefused) {
  write_jobs("a,0,10,bert,100,8,1,10\n");
  command_.policy = "ds";
  EXPECT_EQ(refusal(),
            "--policy: ds does not suit the jobs of --family elasticflow; choose one of fifo, drf, tiresias");
  command_.policy = "optimus";
  EXPECT_NE(refusal().find("--policy: optimus does not suit"), std::string::npos);
}

TEST(ElasticFlowTraces, EveryJobAloneTakesItsPublishedDuration) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  const auto file = published_traces(kTraces) / "elasticVpollux_e.csv";
  const auto models = read_throughputs(published_traces(kTraces) / "throughputs_T4");
  ASSERT_TRUE(models) << models.error().text;
  const auto jobs = read_elasticflow_workload(file, *models);
  ASSERT_TRUE(jobs) << jobs.error().text;
  constexpr std::array kColumns{Column{"job_id", Cell::text}, Column{"duration", Cell::positive}};
  const auto table = CsvTable::read(file, kColumns);
  ASSERT_TRUE(table) << table.error().text;
  std::map<std::string, double> durations;
  for (std::size_t row = 0; row < table->rows(); ++row)
    durations[table->text(row, 0)] = table->number(row, 1);
  ASSERT_EQ(jobs->size(), 195U);
  for (const ElasticFlowSubmission& job : *jobs)
    EXPECT_NEAR(ElasticFlowJob(0, job, 0).alone_s(), durations.at(job.name), 1) << job.name;
}

TEST(ElasticFlowTraces, TheTablesOfBothKindsOfGpuAreRead) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  for (const auto& [folder, models] : {std::pair{"throughputs_T4", 6U}, std::pair{"throughputs_A100", 7U}}) {
    const auto read = read_throughputs(published_traces(kTraces) / folder);
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(read->size(), models);
  }
}

}  // namespace
}  // namespace ds::simulator
