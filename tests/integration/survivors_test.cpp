// Processes of one role are killed again and again, and training goes on from what the others have: no
// checkpoint is read, no committed step is lost, and none is applied twice.
//
// DS_RECOVERY_KILLS says how often (4).
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <iterator>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

std::uint64_t kills() {
  return number_of("DS_RECOVERY_KILLS", 4);
}

/// So long that the job still runs at the last kill.
int epochs() {
  return static_cast<int>(8 + 6 * kills());
}

bool succeeds(const Cluster& cluster, const std::string& job) {
  return wait_until(
      [&] {
        const auto now = cluster.status(job);
        return now.is_object() && now.at("state") == "SUCCEEDED";
      },
      std::chrono::seconds(180 + 10 * kills()));
}

/// The job of `write_job` with so many data shards. It has a checkpoint every 20 steps: there always is one
/// that could be read.
std::filesystem::path write(const std::filesystem::path& folder, const std::string& strategy, int shards) {
  const auto file = write_job(folder, "intents", epochs(), 1, 4, strategy);
  std::ifstream stream(file);
  std::string text(std::istreambuf_iterator<char>(stream), {});
  text.insert(text.find("  transforms:"), "  shards: " + std::to_string(shards) + "\n");
  std::ofstream(file) << text << "restart: 1000\nvalidate: {every: 1000 epochs}\n";
  return file;
}

/// The weights of a run on one worker that nobody disturbed, computed once for all tests of this process.
const std::string& undisturbed_weights() {
  static const std::string weights = [] {
    Cluster cluster;
    cluster.start_head();
    cluster.start_node("node-1", 1);
    const auto job = cluster.submit_job(write(cluster.path() / "data", "allreduce", 0));
    EXPECT_TRUE(succeeds(cluster, job)) << cluster.logs();
    return cluster.exported_weights(job);
  }();
  return weights;
}

class Survivors : public TwoNodes {
 protected:
  void submit(const std::string& strategy, int shards) {
    job_ = cluster_.submit_job(write(cluster_.path() / "data", strategy, shards));
    ASSERT_TRUE(cluster_.wait_for_step(job_, 1)) << cluster_.logs();
  }

  std::vector<int> pids(const std::string& role) const {
    return role == "worker" ? cluster_.worker_pids(job_) : cluster_.role_pids(job_, role);
  }

  /// Everybody is there again and does his part.
  bool is_whole(const std::string& role) const {
    return wait_until([&] {
             const auto now = cluster_.status(job_);
             if (!now.is_object() || now.at("state") != "RUNNING" || now.at("workers").size() != 4)
               return false;
             for (const auto& worker : now.at("workers")) {
               if (worker.at("state") != "TRAINING") return false;
             }
             return role == "worker" || pids(role).size() == 2;
           }) &&
           (role != "server" || has_whole_servers(job_));
  }

  /// Kills a process somewhere in a step, so many times; every time a step is done after it.
  void kill_again_and_again(const std::string& role);
  /// What the job's log says of its generations agrees with what was committed at each kill.
  void expect_nothing_lost() const;
  void expect_same_bits() const {
    ASSERT_TRUE(succeeds(cluster_, job_)) << cluster_.status(job_) << cluster_.logs();
    const auto weights = cluster_.exported_weights(job_);
    ASSERT_FALSE(weights.empty());
    EXPECT_TRUE(weights == undisturbed_weights()) << "seed " << seed_ << cluster_.logs();
  }

  std::string job_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen_;  ///< generation and step just before each kill
};

void Survivors::kill_again_and_again(const std::string& role) {
  for (std::uint64_t count = 0; count < kills(); ++count) {
    SCOPED_TRACE("kill " + std::to_string(count) + ", seed " + std::to_string(seed_));
    ASSERT_TRUE(is_whole(role)) << cluster_.status(job_) << cluster_.logs();
    const std::uint64_t from = cluster_.status(job_).at("step");
    ASSERT_TRUE(cluster_.wait_for_step(job_, from + 1 + random_() % 40)) << cluster_.logs();
    const auto chosen = pids(role);
    ASSERT_FALSE(chosen.empty()) << cluster_.status(job_) << cluster_.logs();
    const auto before = cluster_.status(job_);
    ASSERT_EQ(before.at("state"), "RUNNING") << "it was over too early to be disturbed";
    ASSERT_EQ(kill(chosen[random_() % chosen.size()], SIGKILL), 0);
    seen_.emplace_back(before.at("generation"), before.at("step"));
    ASSERT_TRUE(wait_until([&] {
      const auto now = cluster_.status(job_);
      return now.is_object() && now.at("step") > before.at("step") &&
             (role == "shard" || now.at("generation") > before.at("generation"));
    })) << cluster_.logs();
  }
}

void Survivors::expect_nothing_lost() const {
  const auto formed = generations(job_);
  for (const auto& [generation, step] : seen_) {
    for (const auto& [later, resumed_at] : formed) {
      if (later <= generation) continue;
      EXPECT_GE(resumed_at, step) << "generation " << later << " repeats committed steps, seed " << seed_;
    }
  }
  EXPECT_EQ(cluster_.submit({"logs", job_}).out.find("from the checkpoint"), std::string::npos)
      << "seed " << seed_ << cluster_.submit({"logs", job_}).out;
}

TEST_F(Survivors, GoOnWhereTheyWereWhenWorkersAreKilled) {
  submit("allreduce", 0);
  ASSERT_NO_FATAL_FAILURE(kill_again_and_again("worker"));
  expect_nothing_lost();
  EXPECT_GT(generations(job_).size(), kills()) << "every loss is a generation";
  expect_same_bits();
}

TEST_F(Survivors, GoOnWhereTheyWereWhenParameterServersAreKilled) {
  submit("parameter_server\nservers: 2\nreplicas: 1", 0);
  ASSERT_NO_FATAL_FAILURE(kill_again_and_again("server"));
  expect_nothing_lost();
  EXPECT_GT(generations(job_).size(), kills()) << "every loss is a generation";
  expect_same_bits();
}

TEST_F(Survivors, GoOnWhereTheyWereWhenDataShardsAreKilled) {
  submit("allreduce", 2);
  ASSERT_TRUE(is_whole("shard")) << cluster_.logs();
  const auto before = cluster_.status(job_).at("generation");
  ASSERT_NO_FATAL_FAILURE(kill_again_and_again("shard"));
  expect_nothing_lost();
  EXPECT_EQ(cluster_.status(job_).at("generation"), before) << "a lost shard is no reason for a generation";
  expect_same_bits();
}

}  // namespace
}  // namespace ds::tests
