// Jobs with parameter servers, whose servers and workers die.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr int kEpochs = 12;
constexpr std::uint64_t kSteps = kEpochs * 63;

class ServerJobs : public TwoNodes {
 protected:
  std::string submit(const std::string& strategy, int max_workers = 4) {
    const auto folder = cluster_.path() / ("data-" + std::to_string(jobs_++));
    const auto job = cluster_.submit_job(write_job(folder, "intents", kEpochs, 1, max_workers, strategy));
    EXPECT_TRUE(cluster_.wait_for_step(job, 1)) << cluster_.logs();
    return job;
  }

  std::string weights_of(const std::string& job) {
    EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED"))
        << cluster_.status(job) << cluster_.submit({"logs", job}).out << cluster_.logs();
    return cluster_.exported_weights(job);
  }

  std::uint64_t step(const std::string& job) { return cluster_.status(job).at("step"); }

  /// Kills one of `pids` after some steps; false when the job was over too early.
  bool kill_one(const std::string& job, const std::function<std::vector<int>()>& pids) {
    if (!cluster_.wait_for_step(job, std::min(step(job) + 5 + random_() % 40, kSteps - 1))) return false;
    const auto some = pids();
    if (some.empty()) return false;
    kill(some[random_() % some.size()], SIGKILL);
    return true;
  }

  int jobs_ = 0;
};

TEST_F(ServerJobs, GiveTheSameBitsAsAllReduceThoughServersAndWorkersAreKilled) {
  const auto undisturbed = weights_of(submit("allreduce"));
  ASSERT_FALSE(undisturbed.empty());
  const auto job = submit("parameter_server\nservers: 2\nreplicas: 1");
  std::vector<std::uint64_t> reached;
  for (int kills = 0; kills < 4; ++kills) {
    // Only a loss while all is there twice may be one that no checkpoint is needed for.
    ASSERT_TRUE(has_whole_servers(job)) << cluster_.logs();
    ASSERT_TRUE(kill_one(job,
                         [&] {
                           reached.push_back(step(job));
                           return kills % 2 == 0 ? cluster_.role_pids(job, "server")
                                                 : cluster_.worker_pids(job);
                         }))
        << "seed " << seed_ << cluster_.logs();
    ASSERT_TRUE(wait_until([&] { return cluster_.status(job).at("restarts") == kills + 1; }))
        << cluster_.logs();
  }
  EXPECT_TRUE(weights_of(job) == undisturbed) << "seed " << seed_ << cluster_.logs();
  std::uint64_t before = 0;
  for (const auto& [number, step] : generations(job)) {
    EXPECT_GE(step, before) << "generation " << number << " threw committed steps away";
    before = step;
  }
  EXPECT_GE(before, reached.back());
}

TEST_F(ServerJobs, GoBackToTheirCheckpointWhenAllServersAreKilledAtOnce) {
  const auto undisturbed = weights_of(submit("allreduce"));
  const auto job = submit("parameter_server\nservers: 2\nreplicas: 1", 4);
  ASSERT_TRUE(wait_until([&] { return cluster_.status(job).at("checkpoint").is_object(); }));
  const auto servers = cluster_.role_pids(job, "server");
  ASSERT_EQ(servers.size(), 2U) << cluster_.logs();
  const auto checkpoint = cluster_.status(job).at("checkpoint").at("step").get<std::uint64_t>();
  const auto generation = cluster_.status(job).at("generation").get<std::uint64_t>();
  for (const int pid : servers) kill(pid, SIGKILL);
  EXPECT_TRUE(weights_of(job) == undisturbed) << "seed " << seed_ << cluster_.logs();
  std::uint64_t resumed_at = 0;
  for (const auto& [number, step] : generations(job)) {
    if (resumed_at == 0 && number > generation) resumed_at = step;
  }
  EXPECT_GE(resumed_at, checkpoint) << "it began anew" << cluster_.logs();
}

TEST_F(ServerJobs, RunToTheirEndWithoutSynchronyThoughServersAndWorkersAreKilled) {
  for (const char* consistency : {"bounded\nstaleness: 2\nservers: 2", "async\nservers: 2"}) {
    SCOPED_TRACE(consistency);
    const auto job = submit(std::string("parameter_server\nconsistency: ") + consistency);
    ASSERT_TRUE(has_whole_servers(job)) << cluster_.logs();
    for (int kills = 0; kills < 2; ++kills) {
      ASSERT_TRUE(kill_one(
          job,
          [&] { return kills % 2 == 0 ? cluster_.role_pids(job, "server") : cluster_.worker_pids(job); }))
          << "seed " << seed_ << cluster_.logs();
    }
    EXPECT_FALSE(weights_of(job).empty());
    EXPECT_GT(cluster_.status(job).at("metrics").at("accuracy"), 0.5) << "it learnt nothing";
  }
}

}  // namespace
}  // namespace ds::tests
