// `ds-submit events` and `ds-submit wait`: what happened to jobs, over a killed head. The nodes only pretend.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <iterator>
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

TEST_F(Events, TellWhenNodesJoinAreLostComeBackAndAreStopped) {
  const auto told = [&](const std::string& text) {
    return wait_until([&] { return cluster_.submit({"events"}).out.find(text) != std::string::npos; });
  };
  const auto count = [&](const std::string& node, const std::string& what) {
    int found = 0;
    const auto page = cluster_.json({"events"});
    for (const auto& one : page.at("events"))
      found += one.at("what") == what && one.at("nodes").at(0).at("node") == node ? 1 : 0;
    return found;
  };
  EXPECT_TRUE(told("node n-0: joined: 2 slots at ")) << cluster_.submit({"events"}).out;
  cluster_.start_node("real", 3);
  EXPECT_TRUE(told("node real: joined: 3 slots at "));
  cluster_.node("real").kill_and_wait();
  EXPECT_TRUE(told("node real: lost: it ended, or is not heard of"));
  cluster_.head().kill_and_wait();  // the next one knows who was there
  cluster_.start_head();
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  EXPECT_EQ(count("n-0", "joined") + count("n-0", "back"), 1) << "it never was away";
  cluster_.start_node("real", 3);
  EXPECT_TRUE(told("node real: back: 3 slots at "));
  EXPECT_EQ(cluster_.submit({"cordon", "real"}).code, 0);
  const auto last = cluster_.json({"events"}).at("events").back();
  EXPECT_EQ(last.at("what"), "cordon");
  EXPECT_EQ(last.at("by"), "operator");
}

TEST_F(Events, TellWhenHeadsStartAndHowLongNobodyDecidedBefore) {
  const auto starts = [&] {
    std::vector<json> found;
    const auto page = cluster_.json({"events"});
    if (!page.is_object()) return found;
    for (const auto& one : page.at("events"))
      if (one.at("what") == "head_started") found.push_back(one);
    return found;
  };
  ASSERT_EQ(starts().size(), 1U);
  EXPECT_EQ(starts().front().at("why"), "start 1 that this journal tells of");
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  const auto told = starts();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told.back().at("by"), "head");
  EXPECT_EQ(told.back().at("value"), cluster_.json({"version"}).at("version"));
  const auto why = told.back().at("why").get<std::string>();
  EXPECT_TRUE(why.starts_with("start 2 that this journal tells of, ")) << why;
  EXPECT_NE(why.find(" s after the last record; 0 jobs have not ended"), std::string::npos) << why;
  EXPECT_NE(cluster_.submit({"events"}).out.find("the head was started, version "), std::string::npos);
}

/// One job has all that there is, and another waits for it; neither's nodes are back.
TEST_F(Events, AreNotAllThatIsSaidWhileAHeadWaitsForItsNodes) {
  const auto first = submit("first", "100000", "workers: 4\n");
  ASSERT_EQ(wait(first, {"--for", "RUNNING"}).code, 0) << cluster_.logs();
  const auto next = submit("next", "100000");
  cluster_.node("n").kill_and_wait();
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  const auto why = cluster_.json({"why", next});
  ASSERT_TRUE(why.is_object()) << cluster_.logs();
  ASSERT_EQ(why.at("reasons").size(), 1U) << why;
  const auto& reason = why.at("reasons").at(0);
  EXPECT_EQ(reason.at("code"), "no_capacity_now");
  const auto text = reason.at("text").get<std::string>();
  EXPECT_TRUE(text.starts_with("the head was started ")) << text;
  EXPECT_NE(text.find(" s ago and waits until nodes n-0, n-1 have reported"), std::string::npos) << text;
  EXPECT_EQ(reason.at("nodes"), (json{"n-0", "n-1"}));
  const std::string lasting = "the head has just started and waits for its nodes";
  EXPECT_EQ(cluster_.status(next).at("reason"), lasting) << "whoever follows it reads it once";
  EXPECT_NE(cluster_.submit({"list"}).out.find(lasting), std::string::npos);
  cluster_.start_pretend_nodes("n", 2, {"--slots", "2", "--pretend-speed", "1"});
  EXPECT_TRUE(wait_until([&] {
    const auto now = cluster_.json({"why", next});
    return now.is_object() && !now.at("reasons").empty() &&
           !now.at("reasons").at(0).at("text").get<std::string>().starts_with("the head was started");
  })) << cluster_.json({"why", next});
}

TEST_F(Events, AreWaitedForAndTheExitCodeTellsWhatCame) {
  const auto good = submit("good", "1");
  EXPECT_EQ(wait(good).code, 0);
  EXPECT_EQ(wait(good, {"--for", "SUCCEEDED"}).code, 0);
  const auto passed = wait(good, {"--for", "PAUSED"});
  EXPECT_EQ(passed.code, 101);
  EXPECT_NE(passed.err.find("is SUCCEEDED and was never PAUSED"), std::string::npos) << passed.err;

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

TEST_F(Events, AreKnownToAWaitThatLookedOnlyBeforeAndAfterThem) {
  const auto first = submit("first", "100000", "workers: 4\n");
  ASSERT_EQ(wait(first, {"--for", "RUNNING"}).code, 0);
  const auto next = submit("next", "0");
  std::thread waiter([&] {
    const auto found = wait(next, {"--for", "RUNNING", "--timeout", "1m"});
    EXPECT_EQ(found.code, 0) << found.err << cluster_.logs();
  });
  EXPECT_EQ(cluster_.submit({"cancel", first}).code, 0);
  waiter.join();
  ASSERT_EQ(wait(next).code, 0);
  const auto late = wait(next, {"--for", "RUNNING"});
  EXPECT_EQ(late.code, 0) << late.err;
  EXPECT_NE(late.out.find(": SUCCEEDED"), std::string::npos) << "it is shown as it is: " << late.out;
  EXPECT_EQ(wait(next, {"--for", "QUEUED"}).code, 0) << "all jobs were";
  const auto never = wait(next, {"--for", "PAUSED"});
  EXPECT_EQ(never.code, 101);
  EXPECT_NE(never.err.find("is SUCCEEDED and was never PAUSED"), std::string::npos) << never.err;
}

TEST_F(Events, AreNotClaimedNeverToHaveBeenWhenTheHeadKeepsThemNoMore) {
  const auto job = submit("busy", "100000");
  ASSERT_EQ(wait(job, {"--for", "RUNNING"}).code, 0);
  for (int i = 0; i < 70; ++i)
    ASSERT_EQ(cluster_.submit({"priority", job, i % 2 == 0 ? "high" : "low"}).code, 0);
  ASSERT_EQ(cluster_.submit({"cancel", job}).code, 0);
  ASSERT_EQ(wait(job).code, 103);
  const auto unknown = wait(job, {"--for", "RUNNING"});
  EXPECT_EQ(unknown.code, 103);
  EXPECT_NE(unknown.err.find("it may have been RUNNING before"), std::string::npos) << unknown.err;
}

TEST_F(Events, OfAJobAreFollowedThoughAnotherGetsItsName) {
  const auto job = submit("same", "100000");
  const auto log = cluster_.path() / "followed.txt";
  const auto text = [&] {
    std::ifstream in(log);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  Process follower({program("ds-submit").string(), "events", "-f", "same"}, log,
                   {{"DS_HEAD", cluster_.address()}});
  ASSERT_TRUE(wait_until([&] { return text().find("  RUNNING") != std::string::npos; })) << text();
  submit("same", "100000");
  // The follower has to ask again while both are there.
  ASSERT_EQ(cluster_.submit({"priority", job, "high"}).code, 0);
  ASSERT_TRUE(wait_until([&] { return text().find("  priority 800") != std::string::npos; })) << text();
  ASSERT_EQ(cluster_.submit({"cancel", job}).code, 0);
  EXPECT_EQ(follower.wait(), 0) << text();
  EXPECT_NE(text().find("  CANCELLED"), std::string::npos) << text();
}

TEST_F(Events, AreNoLongerWaitedForAfterCtrlCWhichTellsTheWaysBack) {
  const auto job = submit("endless", "100000");
  const auto log = cluster_.path() / "waited.txt";
  const auto text = [&] {
    std::ifstream in(log);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  Process waiter({program("ds-submit").string(), "wait", job}, log, {{"DS_HEAD", cluster_.address()}});
  ASSERT_TRUE(wait_until([&] { return text().find("Ctrl-C leaves it running") != std::string::npos; }))
      << text();
  waiter.signal(SIGINT);
  EXPECT_EQ(waiter.wait(), 130);
  EXPECT_NE(text().find("the job goes on\n"), std::string::npos) << text();
  EXPECT_NE(text().find("ds-submit cancel " + job), std::string::npos) << text();
}

}  // namespace
}  // namespace ds::tests
