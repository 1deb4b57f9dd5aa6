// `ds-submit plan`: what would become of a job, and what does once it is submitted. The nodes only pretend.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

using nlohmann::json;

class Plans : public ::testing::Test {
 protected:
  void start(const std::vector<std::string>& more = {}) {
    cluster_.start_head(more);
    cluster_.start_pretend_nodes("n", 3, {"--slots", "2", "--pretend-speed", "1"});
    ASSERT_TRUE(cluster_.wait_for_nodes(3)) << cluster_.logs();
  }
  std::string write(const std::string& rest) {
    const auto file = cluster_.path() / ("job-" + std::to_string(++files_) + ".yaml");
    std::ofstream(file) << "version: 1\nkind: command\nname: job\nresources: {memory: 1Mi}\n"
                        << "env: {DS_PRETEND_SECONDS: \"100000\"}\nrun: [\"true\"]\n"
                        << rest;
    return file.string();
  }
  json plan(const std::string& file) const { return cluster_.json({"plan", "-f", file}); }
  std::string run(const std::string& file) {
    const auto id = cluster_.submit_job(file);
    EXPECT_TRUE(cluster_.wait_for_state(id, "RUNNING")) << cluster_.logs();
    return id;
  }
  std::map<std::string, int> workers_of(const std::string& job) const {
    std::map<std::string, int> on_node;
    const auto now = cluster_.status(job);
    for (const auto& worker : now.at("workers")) ++on_node[worker.at("node")];
    return on_node;
  }
  static std::map<std::string, int> placement_of(const json& plan) {
    std::map<std::string, int> on_node;
    for (const auto& one : plan.at("placement")) on_node[one.at("node")] += one.at("workers").get<int>();
    return on_node;
  }

  int files_ = 0;
  Cluster cluster_;
};

TEST_F(Plans, ComeTrueWhenTheJobIsSubmittedAndSubmitNothing) {
  start();
  const auto first = write("workers: 3\n");
  const auto planned = plan(first);
  ASSERT_TRUE(planned.is_object()) << cluster_.logs();
  EXPECT_EQ(planned.at("outcome"), "starts");
  EXPECT_EQ(planned.at("spec").at("workers"), (json{{"max", 3}, {"min", 3}}));
  EXPECT_EQ(cluster_.json({"list"}), json::array());
  const auto running = run(first);
  EXPECT_EQ(workers_of(running), placement_of(planned));

  const auto second = write("workers: 4\n");
  const auto waiting = plan(second);
  EXPECT_EQ(waiting.at("outcome"), "waits");
  EXPECT_FALSE(waiting.at("expected_start").at("from").is_null());
  const auto id = cluster_.submit_job(second);
  const auto why = cluster_.json({"why", id});
  ASSERT_TRUE(why.is_object());
  EXPECT_EQ(waiting.at("reasons"), why.at("reasons"));
  EXPECT_EQ(cluster_.submit({"cancel", id}).code, 0);

  const auto urgent = write("workers: 4\npriority: critical\n");
  const auto preempting = plan(urgent);
  EXPECT_EQ(preempting.at("preemptions"), (json{running})) << preempting;
  EXPECT_EQ(preempting.at("starts_when_room_is_made"), true) << preempting;
  EXPECT_EQ(preempting.at("workers_to_leave"), 3) << preempting;
  EXPECT_EQ(cluster_.status(running).at("state"), "RUNNING");
  cluster_.submit_job(urgent);
  EXPECT_TRUE(cluster_.wait_for_state(running, "PREEMPTED")) << cluster_.logs();
}

class Labels : public Plans {};

TEST_F(Labels, AreShownAndListsAreOfJobsThatHaveThoseAskedFor) {
  start();
  const auto file = write("labels: {team: search, stage: \"a b\"}\ndescription: finds things\n");
  EXPECT_EQ(plan(file).at("spec").at("labels").at("team"), "search");
  const auto labelled = cluster_.submit_job(file),
             other = cluster_.submit_job(write("labels: {team: maps}\n"));
  const auto ids_of = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "list");
    std::vector<std::string> ids;
    for (const auto& job : cluster_.json(words)) ids.push_back(job.at("id"));
    return ids;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids_of({}), (Ids{labelled, other}));
  EXPECT_EQ(ids_of({"--label", "team=search", "--label", "stage=a b"}), Ids{labelled});
  EXPECT_EQ(ids_of({"--label", "team=maps"}), Ids{other});
  EXPECT_EQ(ids_of({"--label", "team=maps", "--label", "stage=a b"}), Ids{});
  EXPECT_NE(cluster_.submit({"list", "--label", "team=x"}).out.find("no job has all that was asked for"),
            std::string::npos);
  const auto shown = cluster_.submit({"status", labelled}).out;
  EXPECT_NE(shown.find("stage=a b, team=search"), std::string::npos) << shown;
  EXPECT_NE(shown.find("finds things"), std::string::npos) << shown;
  EXPECT_EQ(cluster_.status(labelled).at("description"), "finds things");
}

class Operators : public Plans {};

TEST_F(Operators, CloseANodeWithoutEndingWhatRunsThere) {
  start();
  const auto spread = run(write("workers: 6\n"));
  const auto cordoned = cluster_.json({"cordon", "n-1"});
  ASSERT_TRUE(cordoned.is_object()) << cluster_.logs();
  EXPECT_EQ(cordoned.at("state"), "CORDONED");
  const auto waiting = cluster_.submit_job(write("workers: 6\n"));
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  ASSERT_TRUE(cluster_.wait_for_nodes(3)) << cluster_.logs();
  EXPECT_NE(cluster_.submit({"nodes"}).out.find("CORDONED"), std::string::npos);
  EXPECT_EQ(cluster_.status(spread).at("state"), "RUNNING");
  EXPECT_EQ(workers_of(spread).size(), 3U) << "nobody had to leave";
  EXPECT_EQ(cluster_.submit({"cancel", spread}).code, 0);
  ASSERT_TRUE(wait_until([&] {
    const auto why = cluster_.json({"why", waiting});
    return why.is_object() && !why.at("reasons").empty() && why.at("reasons").at(0).at("code") == "drain";
  })) << cluster_.json({"why", waiting});
  EXPECT_EQ(cluster_.json({"undrain", "n-1"}).at("state"), "UP");
  EXPECT_TRUE(cluster_.wait_for_state(waiting, "RUNNING")) << cluster_.logs();
  const auto told = cluster_.submit({"events"}).out;
  EXPECT_NE(told.find("node n-1: cordon: cordoned by an operator"), std::string::npos) << told;
}

TEST_F(Operators, AreToldWhatCannotBe) {
  start();
  ASSERT_TRUE(plan(write("workers: 1\n")).is_object()) << "the head does not wait for nodes any more";
  const auto never = cluster_.submit({"submit", "-f", write("workers: 7\n")});
  EXPECT_EQ(never.code, 0) << never.err;
  EXPECT_NE(never.err.find("can never start: it needs 7 workers"), std::string::npos) << never.err;
  const auto fits = cluster_.submit({"submit", "-f", write("workers: {min: 1, max: 2}\n")});
  EXPECT_EQ(fits.err.find("never"), std::string::npos) << fits.err;
  const auto job = fits.out.substr(0, fits.out.find('\n'));
  ASSERT_TRUE(cluster_.wait_for_state(job, "RUNNING")) << cluster_.logs();
  const auto deadline =
      cluster_.submit({"submit", "-f", write("workers: 7\ntime_limit: 1m\ndeadline: 9h\n")});
  EXPECT_EQ(deadline.code, 7) << deadline.err;
  EXPECT_NE(deadline.err.find("no deadline can be promised: it needs 7 workers"), std::string::npos)
      << deadline.err;
  const auto nearer = cluster_.submit({"submit", "-f", write("time_limit: 2m\ndeadline: 1m\n")});
  EXPECT_NE(nearer.err.find("can be promised"), std::string::npos) << nearer.err;
  const auto scale = cluster_.submit({"scale", job, "1:3"});
  EXPECT_EQ(scale.code, 2) << scale.err;
  EXPECT_EQ(scale.err.find("batch"), std::string::npos) << scale.err;

  const auto ids_of = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "list");
    std::vector<std::string> ids;
    for (const auto& one : cluster_.json(words)) ids.push_back(one.at("id"));
    return ids;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids_of({"--state", "RUNNING,STARTING"}), Ids{job});
  EXPECT_EQ(ids_of({"--tenant", "default", "--active"}).size(), 2U);
  EXPECT_EQ(ids_of({"--tenant", "other"}), Ids{});
  EXPECT_EQ(cluster_.submit({"cancel", job}).code, 0);
  EXPECT_EQ(ids_of({"--active", "--state", "CANCELLED"}), Ids{});
  const auto why = cluster_.submit({"why", job}).out;
  EXPECT_NE(why.find("it has ended: cancelled by its owner\nds-submit retry " + job), std::string::npos)
      << why;
}

TEST_F(Plans, EndWithTheExitCodeThatTellsWhatIsWrong) {
  std::ofstream(cluster_.path() / "tenants.yaml")
      << "version: 1\ntenants:\n  small: {guaranteed: 1, borrowing_limit: 1}\n  large: {guaranteed: 2}\n";
  start({"--tenants", (cluster_.path() / "tenants.yaml").string()});
  const auto never = cluster_.submit({"plan", "-f", write("tenant: large\nworkers: 7\n")});
  EXPECT_EQ(never.code, 7) << never.err;
  EXPECT_NE(never.out.find("never_fits: needs 7 workers"), std::string::npos) << never.out;
  const auto quota = cluster_.submit({"plan", "-f", write("tenant: small\nworkers: 3\n")});
  EXPECT_EQ(quota.code, 6) << quota.err;
  EXPECT_NE(quota.err.find("may have 2 at most"), std::string::npos) << quota.err;
  const auto unknown = cluster_.submit({"plan", "-f", write("tenant: other\n")});
  EXPECT_EQ(unknown.code, 3) << unknown.err;
  const auto wrong = cluster_.submit({"plan", "-f", write("wrokers: 3\n")});
  EXPECT_EQ(wrong.code, 3) << wrong.err;
  EXPECT_NE(wrong.err.find("did you mean \"workers\"?"), std::string::npos) << wrong.err;
  EXPECT_EQ(cluster_.submit({"plan", "-f", write("tenant: large\n")}).code, 0);
}

TEST_F(Plans, ShowTheWholeJobWhichIsTheSameJobAgain) {
  start();
  const auto file = write_job(cluster_.path() / "work", "train", 3, 1, 2);
  const auto first = plan(file.string());
  ASSERT_TRUE(first.is_object()) << cluster_.logs();
  EXPECT_EQ(first.at("spec").at("optimizer").at("lr"), 1e-3);
  // The part of the YAML below `spec:`.
  std::istringstream yaml(cluster_.submit({"plan", "-f", file.string(), "-o", "yaml"}).out);
  std::ofstream again(cluster_.path() / "again.yaml");
  bool is_spec = false;
  for (std::string line; std::getline(yaml, line);) {
    if (!line.starts_with(" ")) is_spec = line == "spec:";
    if (is_spec && line.starts_with(" ")) again << line.substr(2) << "\n";
  }
  again.close();
  const auto second = plan((cluster_.path() / "again.yaml").string());
  ASSERT_TRUE(second.is_object()) << cluster_.logs();
  EXPECT_EQ(second.at("spec"), first.at("spec"));
}

TEST_F(Plans, WaitForTheNodesOfAnIdleHeadThatHasJustStarted) {
  start();
  const auto file = write("workers: 6\n");
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  const auto planned = cluster_.submit({"plan", "-f", file});
  EXPECT_EQ(planned.code, 0) << planned.out << planned.err;
}

TEST_F(Plans, OfManyAtOnceAreAllAnsweredAndKeepNobodyElseWaiting) {
  start();
  run(write("workers: 2\n"));
  const auto file = write("workers: {min: 1, max: 4}\n");
  std::atomic<int> good = 0;
  std::vector<std::thread> people;
  for (int i = 0; i < 8; ++i) {
    people.emplace_back([&] {
      for (int k = 0; k < 4; ++k) good += cluster_.submit({"plan", "-f", file}).code == 0;
    });
  }
  const auto begin = std::chrono::steady_clock::now();
  run(write("workers: 1\n"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  for (auto& one : people) one.join();
  EXPECT_EQ(good, 32);
  EXPECT_EQ(cluster_.json({"list"}).size(), 2U);
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  EXPECT_EQ(cluster_.submit({"plan", "-f", file}).code, 0) << "it is asked again while it waits for nodes";
}

}  // namespace
}  // namespace ds::tests
