#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

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
  command_.restart_s = 30;
  // Seen after 60 s and 30 s from their start on: 60 + 30 + 300 / 1.5; the second from 300, 30 + 100 / 1.
  write_jobs("late,1000060,100,bert,1000429,8,1,100\nfirst,1000000,300,bert,1000291,8,2,200\n");
  auto result = report();
  EXPECT_EQ(result.at("jobs"), 2);
  EXPECT_EQ(result.at("makespan_s"), 430);
  EXPECT_EQ(result.at("average_jct_s"), (290 + 370) / 2.0);
  EXPECT_EQ(result.at("deadlines_met"), 1);  // 290 is before 291, 430 is after 429
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

TEST_F(ElasticFlow, NothingIsPlannedBetweenTheRoundsThatDeadlinesArePromised) {
  write_jobs("a,0,10,bert,100,8,1,10\n");
  command_.heeds_events = true;
  EXPECT_EQ(refusal(), "--events: does not apply to --family elasticflow");
}

TEST_F(ElasticFlow, PoliciesThatNeedWhatTheTracesDontHaveAreRefused) {
  write_jobs("a,0,10,bert,100,8,1,10\n");
  command_.policy = "optimus";
  EXPECT_EQ(refusal(),
            "--policy: optimus does not suit the jobs of --family elasticflow; choose one of ds, fifo, live, "
            "live_least_attained, drf, "
            "tiresias, edf, tiresias_queues, gandiva");
}

TEST_F(ElasticFlow, ARestartCostsAsTheAuthorsHaveItUnlessAnotherCostIsGiven) {
  EXPECT_EQ(elasticflow_restart_s(1), 4);
  EXPECT_EQ(elasticflow_restart_s(16), 12);
  write_jobs("a,0,150,bert,1000,8,2,100\n");
  EXPECT_EQ(report().at("makespan_s"), 60 + 6 + 100);
  command_.restart_s = 20;
  EXPECT_EQ(report().at("makespan_s"), 60 + 20 + 100);
}

TEST_F(ElasticFlow, ADeadlineThatCannotBeKeptBesideThosePromisedIsRefusedWithTheEarliestThatCould) {
  command_.policy = "ds";
  command_.restart_s = 0;
  // The first needs both slots from 60 to 260; the second could have them, rounds being whole, from 300 on.
  write_jobs("a,0,300,bert,261,8,1,300\nb,0,150,bert,399,8,1,150\n");
  auto result = report();
  EXPECT_EQ(result.at("deadlines_met"), 1);
  EXPECT_EQ(result.at("admitted"), 1);
  EXPECT_EQ(result.at("refused"), 1);
  EXPECT_EQ(result.at("late"), 0);
  EXPECT_EQ(result.at("makespan_s"), 260);  // the refused one never runs
  ASSERT_EQ(result.at("refusals").size(), 1U);
  EXPECT_EQ(result.at("refusals")[0].at("job"), "b");
  EXPECT_EQ(result.at("refusals")[0].at("deadline_s"), 399);
  EXPECT_EQ(result.at("refusals")[0].at("earliest_s"), 401);
  write_jobs("a,0,300,bert,261,8,1,300\nb,0,150,bert,401,8,1,150\n");
  result = report();
  EXPECT_EQ(result.at("deadlines_met"), 2);
  EXPECT_EQ(result.at("refused"), 0);
  EXPECT_EQ(result.at("makespan_s"), 400);
}

TEST_F(ElasticFlow, NoAdmittedJobIsEverLateWhateverRestartsCostAndHoweverNodesAreCut) {
  command_.policy = "ds";
  write("bert.csv", std::string(kSizes) + "8,1,1.8,3.1,4.9,nan,nan,nan\n16,0.5,1.1,2,1.9,3.5,nan,nan\n");
  std::uint32_t admitted = 0;
  std::uint32_t refused = 0;
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    std::mt19937_64 random(seed);
    const auto pick = [&](std::uint32_t low, std::uint32_t high) {
      return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
    };
    std::string jobs;
    for (std::uint32_t job = 0, at_s = 0; job < 60; ++job, at_s += pick(0, 300)) {
      const std::uint32_t steps = pick(20, 5000);
      const std::uint32_t one_slot = pick(1, 2);  // seconds a step on it
      jobs += fmt::format("{},{},{},bert,{},{},1,{}\n", job, at_s, steps,
                          at_s + steps * pick(2, 12) / 10 + pick(0, 200), 8 * one_slot, steps * one_slot);
    }
    write_jobs(jobs);
    command_.cluster = std::vector<std::string>{"4x4", "5x3", "1x9"}[seed % 3];
    command_.restart_s = seed % 4 == 0 ? std::nullopt : std::optional<std::uint32_t>(seed % 4 * 25);
    const auto result = report();
    EXPECT_EQ(result.at("late"), 0) << "seed " << seed;
    admitted += result.at("admitted").get<std::uint32_t>();
    refused += result.at("refused").get<std::uint32_t>();
  }
  EXPECT_GT(admitted, 200U);
  EXPECT_GT(refused, 200U);
}

TEST_F(ElasticFlow, EdfGivesAllThatAJobCanRunOnToTheNearestDeadlineAtEachEvent) {
  command_.policy = "edf";
  command_.restart_s = 0;
  // The first has both slots until the second comes at 70, which has them until 170; then the first has 195
  // left.
  write_jobs("a,0,300,bert,400,8,1,300\nb,70,150,bert,171,8,1,150\n");
  auto result = report();
  EXPECT_EQ(result.at("makespan_s"), 300);
  EXPECT_EQ(result.at("deadlines_met"), 2);
  // Only a round after the last plan: at 60 instead of 10.
  write_jobs("a,0,300,bert,400,8,1,300\nb,10,150,bert,171,8,1,150\n");
  EXPECT_EQ(report().at("average_jct_s"), (300 + 150) / 2.0);
}

TEST_F(ElasticFlow, TiresiasWithQueuesLetsNewcomersBeforeThoseThatHaveHadTheirShare) {
  command_.policy = "tiresias_queues";
  command_.cluster = "1x1";
  command_.restart_s = 0;
  // The first has had 3250 slot-seconds at 3250; until then the second waits, then it runs to its end.
  write_jobs("a,0,4000,bert,9000,8,1,4000\nb,100,1000,bert,9000,8,1,1000\n");
  EXPECT_EQ(report().at("average_jct_s"), (5000 + 4150) / 2.0);
  // Restarts are charged late, and not at all to who ends before the next plan: here only the first one is.
  command_.restart_s = 10;
  EXPECT_EQ(report().at("makespan_s"), 10 + 3250 + 1000 + 750);
}

TEST_F(ElasticFlow, UnderGandivaJobsTakeTurnsAtWholeMinutesOfTheTracesClock) {
  command_.policy = "gandiva";
  command_.cluster = "1x1";
  command_.restart_s = 0;
  // 60 s each in turn, then 40: the first ends at 160, which is seen at 180.
  write_jobs("a,1000020,100,bert,2000000,8,1,100\nb,1000020,100,bert,2000000,8,1,100\n");
  EXPECT_EQ(report().at("average_jct_s"), (160 + 220) / 2.0);
  // No plan falls on a whole minute.
  write_jobs("a,1000030,100,bert,2000000,8,1,100\nb,1000030,100,bert,2000000,8,1,100\n");
  EXPECT_EQ(report().at("average_jct_s"), (100 + 220) / 2.0);
}

TEST_F(ElasticFlow, GandivaLooksOnlyWhenJobsComeAndEachRoundOnceAllHaveCome) {
  command_.policy = "gandiva";
  command_.cluster = "1x1";
  command_.restart_s = 0;
  // The first ends at 100, but the second has its slot from 1000 to 1050 only, and the third from 1060.
  write_jobs(
      "a,1000030,100,bert,2000000,8,1,100\nb,1000090,50,bert,2000000,8,1,50\n"
      "c,1001030,50,bert,2000000,8,1,50\n");
  EXPECT_EQ(report().at("average_jct_s"), (100 + 990 + 110) / 3.0);
}

TEST_F(ElasticFlow, GandivaChargesEveryJobARestartAtEachPlanWhileMoreAreToCome) {
  command_.policy = "gandiva";
  command_.restart_s = 10;
  // The first is charged at 0 and 100, the second at 100, the last, at 200, nothing.
  write_jobs(
      "a,1000030,300,bert,2000000,8,1,300\nb,1000130,50,bert,2000000,8,1,50\n"
      "c,1000230,30,bert,2000000,8,1,30\n");
  const auto result = report();
  EXPECT_EQ(result.at("makespan_s"), 320);
  EXPECT_EQ(result.at("average_jct_s"), (320 + 60 + 30) / 3.0);
}

TEST_F(ElasticFlow, WhatAJobOwesForPlansItPaysWhenItNextHasSlotsAndEverySixtiethIsDearer) {
  StepRates rates;
  rates.add(1, 1);
  ElasticFlowJob job(0, {"job", 0, 500, 200, &rates, 1}, std::nullopt,
                     scheduler::RestartCharge::at_each_plan);
  job.note_plan(59);
  EXPECT_EQ(job.view().standing_s, 4);
  job.note_plan(60);
  job.give({0}, 0);
  EXPECT_EQ(job.advance(0, 60), 60 - 31);
  job.give({}, 60);
  EXPECT_EQ(job.advance(60, 60), 0);
  job.give({0}, 120);
  EXPECT_EQ(job.advance(120, 60), 60);  // a change alone costs nothing
}

TEST_F(ElasticFlow, UnderGandivaAllJobsOfAllSizesEnd) {
  command_.policy = "gandiva";
  write("bert.csv", std::string(kSizes) + "8,1,1.8,3.1,4.9,nan,nan,nan\n");
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    std::mt19937_64 random(seed);
    const auto pick = [&](std::uint32_t low, std::uint32_t high) {
      return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
    };
    std::string jobs;
    for (std::uint32_t job = 0, at_s = 0; job < 60; ++job, at_s += pick(0, 300))
      jobs += fmt::format("{},{},{},bert,{},8,{},{}\n", job, at_s, pick(20, 5000), at_s + 9000,
                          1U << pick(0, 3), pick(20, 5000));
    write_jobs(jobs);
    command_.cluster = std::vector<std::string>{"4x4", "5x3", "1x9"}[seed % 3];
    EXPECT_EQ(report().at("jobs"), 60) << "seed " << seed;
  }
}

TEST_F(ElasticFlow, AllMayBeRefused) {
  command_.policy = "ds";
  command_.plot = at("plot.svg");
  write_jobs("a,0,300,bert,200,8,1,300\n");
  const auto result = report();
  EXPECT_EQ(result.at("refused"), 1);
  EXPECT_FALSE(result.contains("average_jct_s"));
}

TEST(ElasticFlowTraces, EveryJobAloneTakesItsPublishedDuration) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  const auto file = published_traces(kTraces) / "elasticVpollux_e.csv";
  const auto models = read_throughputs(published_traces(kTraces) / "throughputs_T4");
  ASSERT_TRUE(models) << models.error().text;
  const auto workload = read_elasticflow_workload(file, *models);
  ASSERT_TRUE(workload) << workload.error().text;
  constexpr std::array kColumns{Column{"job_id", Cell::text}, Column{"duration", Cell::positive}};
  const auto table = CsvTable::read(file, kColumns);
  ASSERT_TRUE(table) << table.error().text;
  std::map<std::string, double> durations;
  for (std::size_t row = 0; row < table->rows(); ++row)
    durations[table->text(row, 0)] = table->number(row, 1);
  ASSERT_EQ(workload->jobs.size(), 195U);
  EXPECT_EQ(workload->first_s, 3715485);
  for (const ElasticFlowSubmission& job : workload->jobs) {
    ElasticFlowSubmission as_measured = job;
    as_measured.duration_s.reset();
    EXPECT_NEAR(ElasticFlowJob(0, as_measured, 0).alone_s(), durations.at(job.name), 1) << job.name;
    EXPECT_NEAR(ElasticFlowJob(0, job, 0).alone_s(), durations.at(job.name), 1e-6) << job.name;
  }
}

TEST(ElasticFlowTraces, TheTablesOfBothKindsOfGpuAreRead) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  for (const auto& [folder, models] : {std::pair{"throughputs_T4", 6U}, std::pair{"throughputs_A100", 7U}}) {
    const auto read = read_throughputs(published_traces(kTraces) / folder);
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(read->size(), models);
  }
}

TEST(ElasticFlowTraces, DsPromisesMoreThanElasticFlowAndKeepsAllPromises) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  Command command;
  command.family = "elasticflow";
  command.profiles = (published_traces(kTraces) / "throughputs_T4").string();
  command.workload = (published_traces(kTraces) / "elasticVpollux_e.csv").string();
  command.as_json = true;
  for (const auto restart_s : {std::optional<std::uint32_t>(), std::optional<std::uint32_t>(30)}) {
    command.restart_s = restart_s;
    const auto report = report_of(command);
    EXPECT_EQ(report.at("jobs"), 195);
    EXPECT_EQ(report.at("late"), 0);
    EXPECT_GE(report.at("deadlines_met"), 150);  // published: 142
    EXPECT_EQ(report.at("deadlines_met"), report.at("admitted"));
  }
}

TEST(ElasticFlowTraces, TheRulesOfTheAuthorsComparisonMeetAsManyDeadlinesAsTheyPublished) {
  NEEDS_PUBLISHED_TRACES(kTraces);
  Command command;
  command.family = "elasticflow";
  command.profiles = (published_traces(kTraces) / "throughputs_T4").string();
  command.workload = (published_traces(kTraces) / "elasticVpollux_e.csv").string();
  command.as_json = true;
  for (const auto& [policy, met] :
       {std::pair{"edf", 23}, std::pair{"tiresias_queues", 56}, std::pair{"gandiva", 18}}) {
    command.policy = policy;
    EXPECT_EQ(report_of(command).at("deadlines_met"), met) << policy;
  }
}

}  // namespace
}  // namespace ds::simulator
