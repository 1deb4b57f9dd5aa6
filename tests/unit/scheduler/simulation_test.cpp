#include "scheduler/simulator/simulation.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "scheduler/simulator/report.hpp"
#include "scheduler/simulator/rigid_job.hpp"
#include "scheduler/simulator/workload.hpp"
#include "tests/unit/scheduler/simulator_profile.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::simulator {
namespace {

class SmallSimulation : public ::testing::Test {
 protected:
  void SetUp() override {
    write_small_profiles(folder_.path());
    auto read = read_applications(folder_.path());
    ASSERT_TRUE(read) << read.error().text;
    applications_ = std::move(*read);
  }

  std::unique_ptr<PolluxJob> job(std::uint32_t id, double submitted_s, std::uint32_t slots, double batch,
                                 bool adapts_batch = false) const {
    return std::make_unique<PolluxJob>(
        id,
        PolluxSubmission{"job-" + std::to_string(id), submitted_s, {&applications_.at("bert")}, slots, batch},
        PolluxSettings{.adapts_batch = adapts_batch});
  }

  Outcome run(Jobs jobs, const std::string& policy, std::vector<std::uint32_t> nodes,
              bool heeds_events = false) const {
    SimulationSettings settings;
    settings.cluster.slots = std::move(nodes);
    settings.heeds_events = heeds_events;
    auto outcome = simulate(jobs, *scheduler::find_policy(policy)->make(nullptr), settings);
    EXPECT_TRUE(outcome) << outcome.error().text;
    return outcome ? *outcome : Outcome{};
  }

  TemporaryFolder folder_;
  std::map<std::string, ApplicationProfile> applications_;
};

TEST_F(SmallSimulation, AJobIsSeenAtTheNextRoundStandsStillForItsStartAndThenMakesItsSteps) {
  Jobs jobs;
  jobs.push_back(job(0, 70, 1, 10));
  const Outcome outcome = run(std::move(jobs), "fifo", {1});
  // Seen at 120, steps from 150 on, 200 of them of a second each.
  EXPECT_EQ(outcome.jobs.at(0).done_s, 350);
  EXPECT_EQ(outcome.jobs.at(0).slot_s, 230);
  EXPECT_EQ(outcome.busy_slot_s, 200);
  EXPECT_NEAR(outcome.jobs.at(0).alone_s, 230, 1e-6);
}

TEST_F(SmallSimulation, AtEventsAJobIsSeenWhenItComesAndTheNextOneGetsItsSlotWhenItEnds) {
  Jobs jobs;
  jobs.push_back(job(0, 70, 1, 10));
  jobs.push_back(job(1, 75.5, 1, 10));
  const Outcome outcome = run(std::move(jobs), "fifo", {1}, true);
  EXPECT_EQ(outcome.jobs.at(0).done_s, 70 + 30 + 200);
  EXPECT_EQ(outcome.jobs.at(1).done_s, 300 + 30 + 200);
}

TEST_F(SmallSimulation, RoundsAreKeptBetweenEvents) {
  class EveryTime final : public scheduler::ElasticPolicy {
   public:
    mutable std::vector<double> planned_s;
    std::vector<scheduler::Slots> plan(const scheduler::ElasticCluster&,
                                       std::span<const scheduler::ElasticJob> jobs,
                                       double now_s) const override {
      planned_s.push_back(now_s);
      return {jobs.size(), scheduler::Slots{0}};
    }
  };
  Jobs jobs;
  jobs.push_back(job(0, 70, 1, 10));
  SimulationSettings settings;
  settings.cluster.slots = {1};
  settings.heeds_events = true;
  const EveryTime policy;
  ASSERT_TRUE(simulate(jobs, policy, settings));
  // It comes, has made a step, ends an epoch; it is done at 300.
  EXPECT_EQ(policy.planned_s, (std::vector<double>{70, 101, 161, 200, 260}));
}

TEST_F(SmallSimulation, AJobHasNewsWhenItHasMadeAStepAndWhenItEndsAnEpoch) {
  const auto some = job(0, 0, 1, 10);
  EXPECT_FALSE(some->news_s(60));
  some->give({0}, 60);
  EXPECT_EQ(some->news_s(60), 60 + 30 + 1);
  some->advance(60, 31);
  EXPECT_EQ(some->news_s(91), 190);
  some->advance(91, 40);
  EXPECT_EQ(some->news_s(131), 190);
}

TEST_F(SmallSimulation, SlotsOnTwoNodesAreAsSlowAsMeasured) {
  Jobs packed;
  packed.push_back(job(0, 0, 2, 20));
  EXPECT_EQ(run(std::move(packed), "fifo", {2}).jobs.at(0).done_s, 60 + 30 + 250);
  Jobs spread;
  spread.push_back(job(0, 0, 2, 20));
  EXPECT_EQ(run(std::move(spread), "fifo", {1, 1}).jobs.at(0).done_s, 60 + 30 + 300);
}

TEST_F(SmallSimulation, FifoLetsNobodyOvertakeAWaitingGang) {
  Jobs jobs;
  jobs.push_back(job(0, 0, 1, 10));
  jobs.push_back(job(1, 1, 2, 20));
  jobs.push_back(job(2, 2, 1, 10));
  const Outcome outcome = run(std::move(jobs), "fifo", {2});
  EXPECT_EQ(outcome.jobs.at(0).done_s, 290);
  EXPECT_EQ(outcome.jobs.at(1).done_s, 300 + 30 + 250);
  EXPECT_EQ(outcome.jobs.at(2).done_s, 600 + 30 + 200);
}

TEST_F(SmallSimulation, DrfSharesEquallyAndGivesWhatIsLeftToTheEarliest) {
  Jobs jobs;
  jobs.push_back(job(0, 0, 4, 40));
  jobs.push_back(job(1, 0, 4, 40));
  const Outcome outcome = run(std::move(jobs), "drf", {3});
  // Two slots and one: 10 samples at once, two passes and four, of 1 s each and 0.25 s for the sum.
  EXPECT_EQ(outcome.jobs.at(0).restarts, 1U);
  EXPECT_EQ(outcome.jobs.at(0).done_s, 60 + 30 + 450);
  EXPECT_EQ(outcome.jobs.at(1).restarts, 2U);
}

TEST_F(SmallSimulation, AJobThatNeverFitsEndsInARefusalThatNamesIt) {
  Jobs jobs;
  jobs.push_back(job(0, 0, 4, 40));
  SimulationSettings settings;
  settings.cluster.slots = {1, 2};
  settings.time_limit_s = 86400;
  const auto outcome = simulate(jobs, *scheduler::find_policy("fifo")->make(nullptr), settings);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(
      outcome.error().text,
      "1 of 1 jobs are not done 1 days after the last submission, job-0 among them: can the cluster hold "
      "it?");
}

TEST_F(SmallSimulation, AnOverfullNodeIsRefused) {
  class Greedy final : public scheduler::ElasticPolicy {
    std::vector<scheduler::Slots> plan(const scheduler::ElasticCluster&,
                                       std::span<const scheduler::ElasticJob> jobs, double) const override {
      return {jobs.size(), scheduler::Slots{0, 0}};
    }
  };
  Jobs jobs;
  jobs.push_back(job(0, 0, 1, 10));
  SimulationSettings settings;
  settings.cluster.slots = {1, 1};
  const auto outcome = simulate(jobs, Greedy(), settings);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().text,
            "the policy gave more slots than there are, part of a rigid job's or several kinds, at 60 s");
}

TEST_F(SmallSimulation, PartOfARigidJobIsRefused) {
  class Stingy final : public scheduler::ElasticPolicy {
    std::vector<scheduler::Slots> plan(const scheduler::ElasticCluster&,
                                       std::span<const scheduler::ElasticJob> jobs, double) const override {
      return {jobs.size(), scheduler::Slots{0}};
    }
  };
  for (const std::uint32_t slots : {1U, 2U}) {
    Jobs jobs;
    jobs.push_back(std::make_unique<RigidJob>(0, RigidSubmission{"job", 0, slots, {{1, 60}}}, 0));
    SimulationSettings settings;
    settings.cluster.slots = {2};
    EXPECT_EQ(simulate(jobs, Stingy(), settings).has_value(), slots == 1);
  }
}

TEST_F(SmallSimulation, SpansSayWhenAJobHadSlots) {
  Jobs jobs;
  jobs.push_back(std::make_unique<RigidJob>(0, RigidSubmission{"long", 0, 2, {{1, 300}}}, 0));
  jobs.push_back(std::make_unique<RigidJob>(1, RigidSubmission{"short", 90, 1, {{1, 30}}}, 0));
  const Outcome outcome = run(std::move(jobs), "ds", {2});
  const auto& spans = outcome.jobs.at(0).spans;
  ASSERT_EQ(spans.size(), 2U);  // stopped for the shorter one
  EXPECT_EQ(spans[0].from_s, 60);
  EXPECT_EQ(spans[0].to_s, 120);
  EXPECT_EQ(spans[1].from_s, 180);
  EXPECT_EQ(spans[1].to_s, 180 + 240);
  EXPECT_EQ(spans[1].slots, 2U);
  ASSERT_EQ(outcome.jobs.at(1).spans.size(), 1U);
  EXPECT_EQ(outcome.jobs.at(1).spans[0].to_s, 150);
}

TEST_F(SmallSimulation, AnElasticJobMayAtMostDoubleWhatItHasRunWith) {
  auto elastic = job(0, 0, 4, 40, true);
  EXPECT_EQ(elastic->view().max_slots, 1U);
  EXPECT_FALSE(elastic->view().speed);
  elastic->give({0}, 60);
  EXPECT_EQ(elastic->view().max_slots, 1U);
  elastic->advance(60, 60);
  EXPECT_EQ(elastic->view().max_slots, 2U);
  ASSERT_TRUE(elastic->view().speed);
  elastic->give({0, 0}, 120);
  elastic->advance(120, 60);
  EXPECT_EQ(elastic->view().max_slots, 4U);
  elastic->give({}, 180);
  elastic->advance(180, 60);
  EXPECT_EQ(elastic->view().max_slots, 4U);
  EXPECT_EQ(elastic->view().run_s, 120);
  EXPECT_EQ(elastic->view().attained_slot_s, 180);
}

TEST(Report, PercentilesLieBetweenTheTwoNearestValues) {
  EXPECT_EQ(percentile({4, 1, 3, 2}, 50), 2.5);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 100), 4);
  EXPECT_EQ(percentile({7}, 99), 7);
}

TEST(Report, HasTheFieldsThatScriptsRelyOn) {
  Outcome outcome;
  outcome.jobs = {{"a", 0, 100, 50, 400, 1}, {"b", 100, 400, 100, 800, 2}};
  outcome.makespan_s = 400;
  outcome.busy_slot_s = 1000;
  outcome.cluster_slots = 4;
  const auto report = to_json(outcome);
  EXPECT_EQ(report.at("jobs"), 2);
  EXPECT_EQ(report.at("average_jct_s"), 200);
  EXPECT_EQ(report.at("makespan_s"), 400);
  EXPECT_EQ(report.at("restarts"), 3);
  EXPECT_EQ(report.at("worst_finish_time_ratio"), 3);
  EXPECT_EQ(report.at("allocated_share"), 0.75);
  EXPECT_EQ(report.at("utilisation"), 0.625);
  EXPECT_DOUBLE_EQ(report.at("gpu_hours").get<double>(), 1200.0 / 3600);
  EXPECT_FALSE(report.contains("decision_ms_p50"));
  EXPECT_FALSE(report.contains("deadlines_met"));
}

TEST(Report, CountsTheJobsThatEndByTheirDeadlines) {
  Outcome outcome;
  outcome.jobs = {{"before", 0, 99, 50, 400, 1, 100},
                  {"at", 0, 100, 50, 400, 1, 100},
                  {"after", 0, 101, 50, 400, 1, 100},
                  {"without", 0, 9, 50, 400, 1}};
  outcome.makespan_s = 101;
  outcome.cluster_slots = 4;
  EXPECT_EQ(to_json(outcome).at("deadlines_met"), 2);
}

}  // namespace
}  // namespace ds::simulator
