// Served models under load while replicas are killed and stopped, nodes die and replicas come and go: every
// request has numbers of its own, and each is answered with what belongs to them.
//
// DS_SERVE_KILLS says how often replicas are killed (24), DS_SEED which and when.
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>

#include "tests/integration/numbered_requests.hpp"
#include "tests/integration/slow_down.hpp"

namespace ds::tests {
namespace {

using std::chrono::milliseconds;

/// Requests wait for one another, so that a replica that dies has some, and answers are cut out of batches.
constexpr const char* kBatching = "batching: {mode: fixed, max_size: 8, max_delay: 10ms}\n";

class ServeFaults : public NumberedRequests {
 protected:
  void SetUp() override {
    NumberedRequests::SetUp();
    ASSERT_NO_FATAL_FAILURE(write_versions(1));
  }
  void serve_numbers(const std::string& more) {
    expect_version(1);
    job_ = cluster_.submit_job(write_serve("answers", model_of("file:version1.pt"), kBatching + more));
  }
  std::string all() const {
    return "seed " + std::to_string(seed_) + cluster_.status(job_).dump() + cluster_.logs();
  }

  /// Kills up to so many replicas that take requests, which it waits for. How many it has killed.
  int kill_replicas(std::size_t most) {
    std::vector<int> pids;
    EXPECT_TRUE(wait_until([&] { return !(pids = serving_pids(job_)).empty(); })) << all();
    std::ranges::shuffle(pids, random_);
    pids.resize(std::min(pids.size(), most));
    int killed = 0;
    for (const int pid : pids) killed += kill(pid, SIGKILL) == 0 ? 1 : 0;
    return killed;
  }
  static int kills() { return static_cast<int>(number_of("DS_SERVE_KILLS", 24)); }
};

TEST_F(ServeFaults, LoseAndMixUpNoRequestWhenReplicasAreKilledAgainAndAgain) {
  serve_numbers("replicas: 3\n");
  ASSERT_TRUE(has_replicas(job_, 3)) << all();
  Askers askers(8, asking());
  std::unique_ptr<SlowDown> slow;
  for (int round = 0, killed = 0; killed < kills(); ++round) {
    if (const auto pids = serving_pids(job_); round % 6 == 2 && !pids.empty())
      slow = std::make_unique<SlowDown>(pids[random_() % pids.size()]);
    killed += kill_replicas(random_() % 4 == 0 ? 2 + random_() % 2 : 1);  // two or all at once now and then
    // Nobody loses a second replica to what is next, which may end a request.
    ASSERT_TRUE(all_have_heard()) << all();
    ASSERT_TRUE(askers.have_more_answers(8)) << all();
  }
  slow.reset();
  EXPECT_TRUE(has_replicas(job_, 3)) << all();
  EXPECT_TRUE(askers.have_more_answers(20)) << all();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << all();
}

TEST_F(ServeFaults, LoseOnlyRequestsWhoseEveryReplicaDiedAtWhateverMomentReplicasAreKilled) {
  serve_numbers("replicas: 3\n");
  ASSERT_TRUE(has_replicas(job_, 3)) << all();
  // The first dies with all that it has. Each of that then runs alone, and is blamed for none that is killed
  // meanwhile: it ends when four have died that had it.
  Askers askers(8, [&]() -> std::string {
    thread_local auto http = keeping_client();
    auto wrong = ask(http).wrong;
    const bool is_last_try =
        wrong.find(": 503 {\"error\":\"the replica that had the request is gone") != std::string::npos;
    return is_last_try ? "" : wrong;
  });
  int killed = 0;
  while (killed < kills()) {
    killed += kill_replicas(1);
    std::this_thread::sleep_for(milliseconds(random_() % 60));
  }
  EXPECT_TRUE(has_replicas(job_, 3)) << all();
  EXPECT_TRUE(askers.have_more_answers(20)) << all();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << all();
  EXPECT_GT(askers.answers(), 100);
}

TEST_F(ServeFaults, HearNothingTwiceOfAReplicaThatStoodStillAndGoesOn) {
  serve_numbers("replicas: 2\n");
  ASSERT_TRUE(has_replicas(job_, 2)) << all();
  Askers askers(8, asking());
  ASSERT_TRUE(askers.have_more_answers(20)) << all();
  const auto pids = serving_pids(job_);
  ASSERT_EQ(pids.size(), 2U) << all();
  const int stopped = pids[random_() % 2];
  ASSERT_EQ(kill(stopped, SIGSTOP), 0);
  ASSERT_TRUE(all_have_heard()) << "the other has answered what it had" << all();
  ASSERT_EQ(kill(stopped, SIGCONT), 0);  // its answers come now
  EXPECT_TRUE(has_replicas(job_, 2)) << all();
  EXPECT_TRUE(askers.have_more_answers(200)) << all();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << all();
}

TEST_F(ServeFaults, LoseNoRequestWhenTheirOnlyReplicaStandsStill) {
  serve_numbers("");
  ASSERT_TRUE(has_replicas(job_, 1)) << all();
  const auto pids = serving_pids(job_);
  ASSERT_EQ(pids.size(), 1U);
  Askers askers(4, asking());
  ASSERT_TRUE(askers.have_more_answers(20)) << all();
  ASSERT_EQ(kill(pids.front(), SIGSTOP), 0);
  EXPECT_TRUE(wait_until([&] { return knows_none_of(job_, pids); })) << all();
  EXPECT_TRUE(all_have_heard()) << all();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << all();
}

TEST_F(ServeFaults, LoseNoRequestWhenOneOfTwoNodesIsKilledAndThenTheOther) {
  serve_numbers("replicas: 3\n");
  ASSERT_TRUE(has_replicas(job_, 3)) << all();
  Askers askers(6, asking());
  std::vector<std::string> nodes{"node-1", "node-2"};  // of two slots: each has one replica at least
  std::ranges::shuffle(nodes, random_);
  for (const auto& node : nodes) {
    ASSERT_TRUE(askers.have_more_answers(20)) << all();
    cluster_.node(node).kill_and_wait();
    cluster_.forget_node(node);
    ASSERT_TRUE(has_replicas(job_, 2)) << all();
    ASSERT_TRUE(all_have_heard()) << all();
    cluster_.start_node(node, 2);
    ASSERT_TRUE(has_replicas(job_, 3)) << all();
  }
  EXPECT_TRUE(askers.have_more_answers(20)) << all();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << all();
}

TEST_F(ServeFaults, LoseNoRequestWhenReplicasComeAndGoWithTheLoad) {
  serve_numbers("replicas: {min: 0, max: 2}\nautoscale: {target: 2, down_delay: 1s, to_zero_after: 2s}\n");
  ASSERT_TRUE(has_replicas(job_, 0)) << all();
  EXPECT_EQ(ask_once().wrong, "") << "the first waits for a replica" << all();
  EXPECT_TRUE(has_replicas(job_, 1)) << all();
  Askers one(1, asking());
  {
    Askers more(7, asking());
    EXPECT_TRUE(has_replicas(job_, 2)) << all();
    EXPECT_TRUE(more.have_more_answers(20)) << all();
    more.stop();
    EXPECT_EQ(more.wrong(), 0) << more.first_wrong() << all();
  }
  EXPECT_TRUE(has_replicas(job_, 1)) << all();
  EXPECT_TRUE(one.have_more_answers(5)) << all();
  one.stop();
  EXPECT_EQ(one.wrong(), 0) << one.first_wrong() << all();
  EXPECT_TRUE(has_replicas(job_, 0)) << all();
}

}  // namespace
}  // namespace ds::tests
