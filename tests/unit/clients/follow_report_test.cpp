#include "clients/follow_report.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

using nlohmann::json;
using Lines = std::vector<std::string>;

json job_in(const std::string& state, const std::string& reason = "") {
  return {{"id", "j1"},
          {"name", "intents"},
          {"state", state},
          {"reason", reason},
          {"step", 0},
          {"total_steps", 100},
          {"epoch", 0},
          {"steps_per_epoch", 50},
          {"generation", 0},
          {"restarts", 0},
          {"workers", json::array()},
          {"evaluations", json::array()},
          {"metrics", json::object()}};
}

TEST(FollowReport, SaysAStateOnceAndAgainWhenItsReasonChanges) {
  FollowReport report;
  EXPECT_EQ(report.observe(job_in("QUEUED", "waits for 4 slots"), 0), Lines{"QUEUED: waits for 4 slots"});
  EXPECT_EQ(report.observe(job_in("QUEUED", "waits for 4 slots"), 1), Lines{});
  EXPECT_EQ(report.observe(job_in("QUEUED", "waits for 2 slots"), 2), Lines{"QUEUED: waits for 2 slots"});
  EXPECT_EQ(report.observe(job_in("RUNNING", "placed"), 3), Lines{"RUNNING"});
  EXPECT_EQ(report.observe(job_in("RUNNING", "grown"), 4), Lines{});
}

TEST(FollowReport, SaysEachEvaluationOnce) {
  FollowReport report;
  json job = job_in("RUNNING");
  report.observe(job, 0);
  job["step"] = 50;
  job["epoch"] = 1;
  job["evaluations"] = {
      {{"epoch", 1}, {"step", 50}, {"loss", 0.5}, {"accuracy", 0.8}, {"majority_accuracy", 0.25}}};
  EXPECT_EQ(report.observe(job, 1), Lines{"epoch 1 evaluated at step 50: loss 0.500, accuracy 80.0% (always "
                                          "the most frequent label: 25.0%)"});
  EXPECT_EQ(report.observe(job, 2), Lines{});
  job["evaluations"].push_back({{"epoch", 2}, {"step", 100}});
  EXPECT_EQ(report.observe(job, 3), Lines{"epoch 2 evaluated at step 100"});
}

TEST(FollowReport, SaysAnEpochOfAJobThatDoesNotEvaluate) {
  FollowReport report;
  json job = job_in("RUNNING");
  report.observe(job, 0);
  job["step"] = 50;
  job["epoch"] = 1;
  EXPECT_EQ(report.observe(job, 1), Lines{"RUNNING  50%  step 50/100  epoch 2/2"});
  EXPECT_EQ(report.observe(job, 2), Lines{});
}

TEST(FollowReport, SaysWhenTheGangChanges) {
  FollowReport report;
  json job = job_in("RUNNING");
  job["generation"] = 1;
  job["workers"] = {{{"rank", 0}}, {{"rank", 1}}};
  EXPECT_EQ(report.observe(job, 0), (Lines{"RUNNING", "training with 2 workers (generation 1)"}));
  job["generation"] = 2;
  job["workers"] = {{{"rank", 0}}};
  EXPECT_EQ(report.observe(job, 1), Lines{"training with 1 worker (generation 2)"});
  job["restarts"] = 1;
  job["step"] = 20;
  EXPECT_EQ(report.observe(job, 2),
            Lines{"workers were lost and replaced (restart 1), going on from step 20"});
}

TEST(FollowReport, TellsTheOutcomeAgainstTheBaseline) {
  json job = job_in("SUCCEEDED");
  job["started_ms"] = 1000;
  job["ended_ms"] = 64000;
  job["checkpoint"] = {{"step", 2000}};
  job["metrics"] = {{"accuracy", 0.5}};
  job["evaluations"] = {{{"epoch", 1}, {"step", 50}, {"accuracy", 0.931}, {"majority_accuracy", 0.214}}};
  EXPECT_EQ(format_outcome(job),
            "intents j1: SUCCEEDED after 1m03s\n"
            "accuracy   93.1% on held-out data; always answering the most frequent label gives 21.4%\n"
            "checkpoint step 2,000\n"
            "next       ds-submit export j1 --format torchscript -o model.pt\n");
}

TEST(FollowReport, SaysWhyAJobFailedAndWhereToLook) {
  EXPECT_EQ(format_outcome(job_in("FAILED", "train.csv:3:1: not UTF-8")),
            "intents j1: FAILED: train.csv:3:1: not UTF-8\nnext       ds-submit logs j1\n");
  EXPECT_EQ(format_outcome(job_in("CANCELLED")), "intents j1: CANCELLED\n");
}

}  // namespace
}  // namespace ds::clients
