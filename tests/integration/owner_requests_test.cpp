// What owners ask of their running jobs, with the head killed in between: nothing is lost, and nothing of it
// shows in the weights.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr int kEpochs = 16;
constexpr int kLong = 50;  // for what a new head does some seconds after it has started

class OwnerRequests : public TwoNodes {
 protected:
  std::filesystem::path write(const std::string& name, int epochs, int min, int max,
                              const std::string& more = {}) {
    const auto file = write_job(cluster_.path() / "data" / name, name, epochs, min, max);
    std::ofstream(file, std::ios::app) << more;
    return file;
  }
  /// What the same job's weights are when nobody asks anything of it.
  std::string undisturbed_weights(int max, int epochs = kEpochs) {
    const auto job = cluster_.submit_job(write("alone", epochs, 1, max));
    EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
    return cluster_.exported_weights(job);
  }
  bool wait_for_workers(const std::string& job, std::size_t count) {
    return wait_until([&] {
      const auto now = cluster_.status(job);
      return now.is_object() && now.at("workers").size() == count;
    });
  }
};

TEST_F(OwnerRequests, APausedJobGivesItsSlotsBackAndGoesOnFromThatStepOverKilledHeads) {
  const auto weights = undisturbed_weights(2);
  ASSERT_FALSE(weights.empty());
  const auto job = cluster_.submit_job(write("pausing", kEpochs, 2, 2));
  ASSERT_TRUE(cluster_.wait_for_step(job, 25)) << cluster_.logs();

  EXPECT_EQ(cluster_.submit({"pause", job}).code, 0);
  kill_head_and_start_another();  // while its workers stop and save, or just before
  EXPECT_EQ(cluster_.status(job).at("state"), "PAUSED");
  ASSERT_TRUE(wait_for_workers(job, 0)) << cluster_.logs();
  const auto paused = cluster_.status(job);
  const auto step = paused.at("step").get<std::uint64_t>();
  EXPECT_GE(step, 25U);
  EXPECT_EQ(paused.at("checkpoint").at("step"), step) << cluster_.logs();
  EXPECT_EQ(codes_of(job), "held ");
  EXPECT_EQ(cluster_.submit({"pause", job}).code, 0);

  // Its slots are free: all four of them for another.
  const auto other = cluster_.submit_job(write("other", 1, 4, 4));
  EXPECT_TRUE(cluster_.wait_for_state(other, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"pause", other}).code, 10);
  EXPECT_EQ(cluster_.submit({"resume", other}).code, 10);
  EXPECT_EQ(cluster_.status(job).at("state"), "PAUSED");

  const auto resumed = cluster_.json({"resume", job});
  ASSERT_TRUE(resumed.is_object());
  EXPECT_NE(resumed.at("state"), "PAUSED");  // QUEUED, or STARTING already
  kill_head_and_start_another();
  EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job).at("restarts"), 0);
  EXPECT_TRUE(cluster_.exported_weights(job) == weights) << cluster_.logs();
  const auto formed = generations(job);
  EXPECT_TRUE(std::ranges::any_of(formed, [&](const auto& one) { return one.second == step; }))
      << cluster_.logs();
}

TEST_F(OwnerRequests, ParameterServersKeepTheStateOfAPausedJob) {
  const std::string strategy = "parameter_server\nservers: 2\nreplicas: 1";
  const auto submit = [&](const std::string& name) {
    return cluster_.submit_job(write_job(cluster_.path() / "data" / name, name, kEpochs, 2, 2, strategy));
  };
  const auto alone = submit("alone");
  ASSERT_TRUE(cluster_.wait_for_state(alone, "SUCCEEDED")) << cluster_.logs();
  const auto weights = cluster_.exported_weights(alone);
  const auto job = submit("pausing");
  ASSERT_TRUE(cluster_.wait_for_step(job, 25)) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"pause", job}).code, 0);
  ASSERT_TRUE(wait_for_workers(job, 0)) << cluster_.logs();
  EXPECT_EQ(cluster_.role_pids(job, "server").size(), 2U);
  kill_head_and_start_another();
  EXPECT_EQ(cluster_.status(job).at("state"), "PAUSED");
  EXPECT_EQ(cluster_.submit({"resume", job}).code, 0);
  EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job).at("restarts"), 0);
  EXPECT_GE(generations(job).back().second, 25U) << "it went back to a checkpoint\n" << cluster_.logs();
  EXPECT_TRUE(cluster_.exported_weights(job) == weights) << cluster_.logs();
}

TEST_F(OwnerRequests, AJobThatWaitsIsPausedAndResumedWithoutEverStarting) {
  const auto large = cluster_.submit_job(write("large", 40, 4, 4));
  ASSERT_TRUE(wait_for_workers(large, 4)) << cluster_.logs();
  const auto job = cluster_.submit_job(write("waiting", 1, 1, 1));
  EXPECT_EQ(cluster_.json({"pause", job}).at("state"), "PAUSED");
  EXPECT_EQ(codes_of(job), "held ");
  EXPECT_EQ(cluster_.submit({"cancel", large}).code, 0);
  EXPECT_TRUE(wait_for_workers(large, 0)) << cluster_.logs();
  const auto next = cluster_.submit_job(write("next", 1, 1, 1));
  EXPECT_TRUE(cluster_.wait_for_state(next, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(cluster_.status(job).at("started_ms").is_null());
  EXPECT_EQ(cluster_.submit({"resume", job}).code, 0);
  EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
}

TEST_F(OwnerRequests, AJobEndsWithALastCheckpointWhenItHasRunForItsTimeLimit) {
  const auto job = cluster_.submit_job(write("limited", 2000, 2, 2, "time_limit: 8s\n"));
  ASSERT_TRUE(cluster_.wait_for_step(job, 5)) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"pause", job}).code, 0);
  ASSERT_TRUE(wait_for_workers(job, 0)) << cluster_.logs();
  const auto ran = cluster_.status(job).at("run_ms").get<std::int64_t>();
  EXPECT_GT(ran, 0);
  const auto other = cluster_.submit_job(write("other", 1, 1, 1));
  EXPECT_TRUE(cluster_.wait_for_state(other, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job).at("run_ms"), ran);  // what it waits does not count
  EXPECT_EQ(cluster_.submit({"resume", job}).code, 0);
  kill_head_and_start_another();
  ASSERT_TRUE(cluster_.wait_for_state(job, "FAILED")) << cluster_.logs();
  const auto ended = cluster_.status(job);
  EXPECT_EQ(ended.at("reason"), "time limit: it has run for 8 s, as long as its time_limit allows");
  EXPECT_GE(ended.at("run_ms"), 8'000);
  EXPECT_LT(ended.at("run_ms"), 60'000);
  EXPECT_EQ(ended.at("checkpoint").at("step"), ended.at("step")) << cluster_.logs();
}

TEST_F(OwnerRequests, AJobIsTriedAgainFromItsNewestCheckpoint) {
  const auto weights = undisturbed_weights(2);
  const auto job = cluster_.submit_job(write("again", kEpochs, 2, 2));
  ASSERT_TRUE(cluster_.wait_for_step(job, 45)) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"retry", job}).code, 0);  // it has not ended: nothing to do
  EXPECT_EQ(cluster_.json({"cancel", job}).at("state"), "CANCELLED");
  EXPECT_NE(cluster_.json({"retry", job}).at("state"), "CANCELLED");
  kill_head_and_start_another();
  EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(cluster_.exported_weights(job) == weights) << cluster_.logs();
  EXPECT_GE(generations(job).back().second, 40U) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"retry", job}).code, 10);
}

TEST_F(OwnerRequests, AJobIsScaledUpToWhatItsFileAllows) {
  const auto weights = undisturbed_weights(4, kLong);
  const auto job = cluster_.submit_job(write("scaled", kLong, 1, 4));
  ASSERT_TRUE(wait_for_workers(job, 4)) << cluster_.logs();
  ASSERT_TRUE(cluster_.wait_for_step(job, 5)) << cluster_.logs();
  const auto scaled = cluster_.json({"scale", job, "2"});
  ASSERT_TRUE(scaled.is_object()) << cluster_.logs();
  EXPECT_EQ(scaled.at("workers_min"), 2);
  EXPECT_EQ(scaled.at("workers_max"), 2);
  kill_head_and_start_another();
  EXPECT_TRUE(wait_for_workers(job, 2)) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"scale", job, "1:5"}).code, 2);
  EXPECT_EQ(cluster_.submit({"scale", job, "3:2"}).code, 2);
  EXPECT_EQ(cluster_.submit({"scale", job, "two"}).code, 2);
  EXPECT_EQ(cluster_.submit({"scale", job, "1:3"}).code, 0);
  EXPECT_TRUE(wait_for_workers(job, 3)) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job).at("restarts"), 0);
  EXPECT_TRUE(cluster_.exported_weights(job) == weights) << cluster_.logs();
}

TEST_F(OwnerRequests, AJobThatBecomesMoreUrgentGoesFirst) {
  const auto large = cluster_.submit_job(write("large", 2000, 4, 4));
  ASSERT_TRUE(wait_for_workers(large, 4)) << cluster_.logs();
  const auto first = cluster_.submit_job(write("first", 1, 4, 4));
  const auto second = cluster_.submit_job(write("second", 1, 4, 4));
  EXPECT_EQ(cluster_.submit({"priority", second, "urgent"}).code, 2);
  EXPECT_EQ(cluster_.submit({"priority", second, "501"}).code, 0);
  EXPECT_EQ(cluster_.json({"priority", large, "critical"}).at("priority"), 1000);
  EXPECT_TRUE(wait_until([&] { return codes_of(first).find("priority_behind") != std::string::npos; }))
      << codes_of(first);
  kill_head_and_start_another();
  EXPECT_EQ(cluster_.status(second).at("priority"), 501);
  EXPECT_EQ(cluster_.submit({"cancel", large}).code, 0);
  EXPECT_TRUE(cluster_.wait_for_state(first, "SUCCEEDED")) << cluster_.logs();
  EXPECT_LT(cluster_.status(second).at("started_ms"), cluster_.status(first).at("started_ms"));
  EXPECT_EQ(cluster_.submit({"priority", large, "low"}).code, 10);
}

}  // namespace
}  // namespace ds::tests
