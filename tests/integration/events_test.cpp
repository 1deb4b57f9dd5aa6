// `ds-submit events` and `ds-submit wait`: what happened to jobs, over a killed head. The nodes only pretend.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

using nlohmann::json;

class Events : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.start_head();
    cluster_.start_pretend_nodes("n", 2, {"--slots", "2", "--pretend-speed", "1"});
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  }
  std::string submit(const std::string& name, const std::string& seconds, const std::string& rest = {}) {
    const auto file = cluster_.path() / (name + ".yaml");
    std::ofstream(file) << "version: 1\nkind: command\nname: " << name
                        << "\nresources: {memory: 1Mi}\nrestart: 0\nenv: {DS_PRETEND_SECONDS: \"" << seconds
                        << "\"}\nrun: [\"true\"]\n"
                        << rest;
    return cluster_.submit_job(file);
  }
  Outcome wait(const std::string& job, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"wait", job};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return cluster_.submit(arguments);
  }
  std::vector<std::string> words_of(const std::string& job) const {
    std::vector<std::string> words;
    const auto page = cluster_.json({"events", job});
    if (!page.is_object()) return words;
    for (const auto& one : page.at("events"))
      words.push_back(one.at("what").get<std::string>() + " " + one.value("value", ""));
    return words;
  }

  Cluster cluster_;
};

TEST_F(Events, TellWhatHappenedToAJobAndSurviveTheHead) {
  const auto job = submit("gang", "100000", "workers: 3\n");
  ASSERT_EQ(wait(job, {"--for", "RUNNING"}).code, 0) << cluster_.logs();
  const std::vector<std::string> begun{"submitted ", "state STARTING", "placed ", "state RUNNING"};
  EXPECT_EQ(words_of(job), begun);
  const auto placed = cluster_.json({"events", job}).at("events").at(2);
  EXPECT_EQ(placed.at("workers"), 3) << placed;
  const auto before = cluster_.json({"events", job});
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  EXPECT_EQ(cluster_.json({"events", job}).at("events"), before.at("events"));
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();

  std::thread follower([&] {
    const auto followed = cluster_.submit({"events", "-f", job});
    EXPECT_EQ(followed.code, 0) << followed.err;
    EXPECT_NE(followed.out.find("  3 workers on n-"), std::string::npos) << followed.out;
    EXPECT_NE(followed.out.find("  priority 800"), std::string::npos) << followed.out;
    EXPECT_NE(followed.out.find("  CANCELLED: "), std::string::npos) << followed.out;
  });
  EXPECT_EQ(cluster_.submit({"priority", job, "high"}).code, 0);
  EXPECT_EQ(cluster_.submit({"drain", "n-0"}).code, 0);
  EXPECT_EQ(cluster_.submit({"cancel", job}).code, 0);
  follower.join();
  const auto all = cluster_.submit({"events"});
  EXPECT_NE(all.out.find(job + "  submitted"), std::string::npos) << all.out;
  EXPECT_NE(all.out.find("node n-0: drain"), std::string::npos) << all.out;
  EXPECT_EQ(cluster_.submit({"events", "nobody"}).code, 4);
}

TEST_F(Events, AreWaitedForAndTheExitCodeTellsWhatCame) {
  const auto good = submit("good", "1");
  EXPECT_EQ(wait(good).code, 0);
  EXPECT_EQ(wait(good, {"--for", "SUCCEEDED"}).code, 0);
  const auto passed = wait(good, {"--for", "PAUSED"});
  EXPECT_EQ(passed.code, 101);
  EXPECT_NE(passed.err.find("is SUCCEEDED and was not PAUSED before"), std::string::npos) << passed.err;

  const auto bad = submit("bad", "soon");
  EXPECT_EQ(wait(bad).code, 100);
  EXPECT_EQ(wait(bad, {"--for", "done", "-o", "json"}).code, 100);

  const auto endless = submit("endless", "100000");
  const auto begin = std::chrono::steady_clock::now();
  const auto late = wait(endless, {"--timeout", "1s"});
  EXPECT_EQ(late.code, 8);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_NE(late.err.find("ds-submit why " + endless), std::string::npos) << late.err;

  std::thread waiter([&] {
    const auto cancelled = wait(endless, {"--timeout", "2m"});
    EXPECT_EQ(cancelled.code, 103) << cancelled.err;
    EXPECT_NE(cancelled.out.find(": CANCELLED"), std::string::npos) << cancelled.out;
  });
  EXPECT_TRUE(cluster_.wait_for_state(endless, "RUNNING"));
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  EXPECT_EQ(cluster_.submit({"cancel", endless}).code, 0);
  waiter.join();
  EXPECT_EQ(wait("nobody").code, 4);
}

TEST_F(Events, WaitSeesAStateThatPassesBetweenTwoLooks) {
  const auto first = submit("first", "2", "workers: 4\n");
  ASSERT_EQ(wait(first, {"--for", "RUNNING"}).code, 0);
  const auto next = submit("next", "0");
  EXPECT_EQ(wait(next, {"--for", "RUNNING", "--timeout", "1m"}).code, 0) << cluster_.logs();
}

}  // namespace
}  // namespace ds::tests
