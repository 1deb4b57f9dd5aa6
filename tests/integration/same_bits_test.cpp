// The project's strongest test: whatever is killed, added, removed or restarted, the final weights are the
// same to the bit.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <numeric>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr int kEpochs = 16;
constexpr std::uint64_t kSteps = kEpochs * 63;

/// The weights of a run that nobody disturbed, computed once for all tests of this process.
const std::string& undisturbed_weights() {
  static const std::string weights = [] {
    Cluster cluster;
    cluster.start_head();
    cluster.start_node("node-1", 1);
    const auto job = cluster.submit_job(write_job(cluster.path() / "data", "intents", kEpochs, 1, 4));
    EXPECT_TRUE(cluster.wait_for_state(job, "SUCCEEDED")) << cluster.logs();
    return cluster.exported_weights(job);
  }();
  return weights;
}

class SameBits : public TwoNodes {
 protected:
  void submit() {
    job_ = cluster_.submit_job(write_job(cluster_.path() / "data", "intents", kEpochs, 1, 4));
    ASSERT_TRUE(cluster_.wait_for_step(job_, 1)) << cluster_.logs();
  }

  std::uint64_t step() { return cluster_.status(job_).at("step"); }
  bool advances_to(std::uint64_t step) { return cluster_.wait_for_step(job_, step); }
  std::size_t count_of(const char* state) {
    std::size_t count = 0;
    const auto now = cluster_.status(job_);
    if (!now.is_object()) return 0;
    for (const auto& worker : now.at("workers")) count += worker.at("state") == state ? 1 : 0;
    return count;
  }

  void expect_same_bits() {
    ASSERT_TRUE(cluster_.wait_for_state(job_, "SUCCEEDED")) << cluster_.logs();
    const auto weights = cluster_.exported_weights(job_);
    ASSERT_FALSE(weights.empty());
    EXPECT_TRUE(weights == undisturbed_weights()) << "seed " << seed_ << cluster_.logs();
  }

  std::string job_;
};

TEST_F(SameBits, WithFourWorkersInsteadOfOne) {
  submit();
  ASSERT_TRUE(wait_until([&] { return count_of("TRAINING") == 4; })) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job_).at("total_steps"), kSteps);
  expect_same_bits();
}

TEST_F(SameBits, WhenWorkersAreKilledAtRandomSteps) {
  submit();
  for (int kills = 0; kills < 4; ++kills) {
    ASSERT_TRUE(advances_to(step() + 10 + random_() % 60)) << cluster_.logs();
    const auto pids = cluster_.worker_pids(job_);
    ASSERT_FALSE(pids.empty()) << "the job was over too early" << cluster_.logs();
    kill(pids[random_() % pids.size()], SIGKILL);
  }
  ASSERT_TRUE(wait_until([&] { return cluster_.status(job_).at("restarts") == 4; })) << cluster_.logs();
  expect_same_bits();
}

TEST_F(SameBits, WhenNodesJoinAndLeaveMeanwhile) {
  submit();
  cluster_.node("node-2").kill_and_wait();
  cluster_.forget_node("node-2");
  ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  ASSERT_TRUE(wait_until([&] { return count_of("TRAINING") == 2; })) << cluster_.logs();
  cluster_.start_node("node-3", 2);
  ASSERT_TRUE(wait_until([&] { return count_of("TRAINING") == 4; })) << cluster_.logs();
  cluster_.node("node-1").signal(SIGTERM);
  EXPECT_EQ(cluster_.node("node-1").wait(), 0);
  cluster_.forget_node("node-1");
  ASSERT_TRUE(wait_until([&] { return count_of("TRAINING") == 2; })) << cluster_.logs();
  expect_same_bits();
}

TEST_F(SameBits, WhenTheHeadIsKilledAndTheJobGoesOnWithoutIt) {
  submit();
  ASSERT_TRUE(wait_until([&] { return count_of("TRAINING") == 4; })) << cluster_.logs();
  const auto before = cluster_.status(job_);
  const auto workers = cluster_.worker_pids(job_);
  cluster_.head().kill_and_wait();
  const auto worked = [&] {
    return std::accumulate(workers.begin(), workers.end(), 0L,
                           [](long sum, int pid) { return sum + processor_ticks(pid); });
  };
  const auto ticks = worked();
  ASSERT_TRUE(wait_until([&] { return worked() > ticks + sysconf(_SC_CLK_TCK); }))
      << "nothing trains without a head";
  cluster_.start_head();
  ASSERT_TRUE(wait_until([&] {
    const auto now = cluster_.status(job_);
    return now.is_object() && now.at("step") > before.at("step") && now.at("workers").size() == 4;
  })) << cluster_.logs();
  expect_same_bits();
  EXPECT_EQ(cluster_.status(job_).at("generation"), before.at("generation"))
      << "the gang was not taken back as it was";
  EXPECT_EQ(cluster_.status(job_).at("restarts"), 0);
}

TEST_F(SameBits, WhenAWorkerStopsAndNeverGoesOn) {
  submit();
  ASSERT_TRUE(wait_until([&] { return count_of("TRAINING") == 4; })) << cluster_.logs();
  const int stopped = cluster_.worker_pids(job_).at(1);
  kill(stopped, SIGSTOP);
  EXPECT_TRUE(wait_until([&] { return !is_running(stopped); })) << "nobody ended it" << cluster_.logs();
  expect_same_bits();
}

TEST_F(SameBits, WhenTheHeadFallsSilentForAWhile) {
  submit();
  ASSERT_TRUE(wait_until([&] { return cluster_.status(job_).at("checkpoint").is_object(); }))
      << cluster_.logs();
  cluster_.head().signal(SIGSTOP);
  EXPECT_TRUE(wait_until([&] {
    const auto logs = cluster_.logs();
    return logs.find("ds-node warning: the head is gone") != std::string::npos;
  })) << cluster_.logs();
  cluster_.head().signal(SIGCONT);
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  expect_same_bits();
}

TEST_F(SameBits, WhenEverythingIsKilledAndStartedAgain) {
  submit();
  ASSERT_TRUE(wait_until([&] { return cluster_.status(job_).at("checkpoint").is_object(); }))
      << cluster_.logs();
  const auto checkpoint = cluster_.status(job_).at("checkpoint").at("step").get<std::uint64_t>();
  const auto generation = cluster_.status(job_).at("generation").get<std::uint64_t>();
  const auto workers = cluster_.worker_pids(job_);
  cluster_.head().kill_and_wait();
  cluster_.node("node-1").kill_and_wait();
  cluster_.node("node-2").kill_and_wait();
  for (const int pid : workers)
    EXPECT_TRUE(wait_until([&] { return !is_running(pid); })) << pid << " is an orphan";
  cluster_.start_head();
  cluster_.start_node("node-1", 2);
  cluster_.start_node("node-2", 2);
  expect_same_bits();
  std::uint64_t resumed_at = 0;
  for (const auto& [number, step] : generations(job_)) {
    if (resumed_at == 0 && number > generation) resumed_at = step;
  }
  EXPECT_GE(resumed_at, checkpoint) << "it did not go on from its checkpoint" << cluster_.logs();
}

}  // namespace
}  // namespace ds::tests
