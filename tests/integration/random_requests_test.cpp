// Owners and operators ask for this and that at random moments, and the head is killed at others: the job
// ends all the same, with the same weights, and no slot is given twice. DS_SEED repeats a run.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr int kEpochs = 60;

class RandomRequests : public TwoNodes {
 protected:
  std::string submit(const std::string& name) {
    return cluster_.submit_job(write_job(cluster_.path() / "data" / name, name, kEpochs, 1, 4));
  }
  std::uint64_t pick(std::uint64_t count) { return random_() % count; }

  /// One request; what it may be answered with besides success is that the job has ended.
  void ask(const std::string& job) {
    const std::string node = "node-" + std::to_string(1 + pick(2));
    const std::vector<std::vector<std::string>> requests{
        {"pause", job},
        {"resume", job},
        {"resume", job},
        {"scale", job, std::to_string(1 + pick(2)) + ":" + std::to_string(2 + pick(3))},
        {"priority", job, std::to_string(100 + pick(800))},
        {"drain", node},
        {"undrain", "node-1"},
        {"undrain", "node-2"},
    };
    const auto& request = requests[pick(requests.size())];
    const auto outcome = cluster_.submit(request);
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 10) << request[0] << ": " << outcome.err;
    asked_ += request[0] + " ";
  }
  void look() {
    const auto nodes = cluster_.json({"nodes"});
    if (!nodes.is_array()) return;
    for (const auto& node : nodes)
      EXPECT_LE(node.at("slots_used"), 2) << "a slot was given twice: " << node << cluster_.logs();
  }

  std::string asked_;
};

TEST_F(RandomRequests, LeaveNoTraceInTheWeightsThoughTheHeadIsKilledMeanwhile) {
  const auto alone = submit("alone");
  ASSERT_TRUE(cluster_.wait_for_state(alone, "SUCCEEDED")) << cluster_.logs();
  const auto weights = cluster_.exported_weights(alone);
  const auto job = submit("busy");
  ASSERT_TRUE(cluster_.wait_for_step(job, 5)) << cluster_.logs();

  const auto kills = number_of("DS_RECOVERY_KILLS", 5);
  for (std::uint64_t kill = 0; kill < kills; ++kill) {
    for (std::uint64_t i = 0; i < 1 + pick(4); ++i) {
      ask(job);
      look();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(pick(300)));  // the moment of the kill
    cluster_.head().kill_and_wait();
    asked_ += "KILL ";
    cluster_.start_head();
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
    look();
  }
  for (const std::vector<std::string>& request :
       {std::vector<std::string>{"undrain", "node-1"}, {"undrain", "node-2"}, {"resume", job}})
    cluster_.submit(request);
  ASSERT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED"))
      << "seed " << seed_ << ": " << asked_ << cluster_.status(job) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job).at("restarts"), 0) << "seed " << seed_ << ": " << asked_;
  EXPECT_TRUE(cluster_.exported_weights(job) == weights) << "seed " << seed_ << ": " << asked_;
}

}  // namespace
}  // namespace ds::tests
