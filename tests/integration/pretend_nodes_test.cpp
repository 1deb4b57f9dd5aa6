// Nodes that only pretend to run programs (`ds-node --pretend`): real processes, messages and leases.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <string>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

class PretendNodes : public ::testing::Test {
 protected:
  void SetUp() override { cluster_.start_head(); }

  void start_nodes(int count, const std::string& speed) {
    cluster_.start_pretend_nodes("many", count, {"--slots", "1", "--pretend-speed", speed});
    ASSERT_TRUE(cluster_.wait_for_nodes(static_cast<std::size_t>(count))) << cluster_.logs();
  }

  std::filesystem::path job(const std::string& rest) {
    const auto file = cluster_.path() / "job.yaml";
    std::ofstream(file) << "version: 1\nkind: command\nname: job\nresources: {memory: 1Mi}\n" << rest;
    return file;
  }

  void submit(const std::filesystem::path& file, int count) {
    for (int i = 0; i < count; ++i) ids_.push_back(cluster_.submit_job(file));
  }

  /// A head that never gives a node's programs up, one node, and a program on it that does not end.
  void run_one_for_ever(std::string& id) {
    cluster_.head().kill_and_wait();
    cluster_.start_head({"--node-timeout", "3600"});
    start_nodes(1, "1");
    id = cluster_.submit_job(job("env: {DS_PRETEND_SECONDS: \"100000\"}\nrun: [\"true\"]\n"));
    ASSERT_TRUE(cluster_.wait_for_state(id, "RUNNING")) << cluster_.logs();
  }
  void expect_second_run(const std::string& id) {
    EXPECT_TRUE(wait_until([&] {
      const auto now = cluster_.status(id);
      return now.is_object() && now.at("state") == "RUNNING" && now.at("generation") == 2;
    })) << cluster_.status(id)
        << cluster_.logs();
  }

  std::map<std::string, std::string> states() const {
    std::map<std::string, std::string> by_id;
    const auto jobs = cluster_.json({"list"});
    if (jobs.is_array()) {
      for (const auto& one : jobs) by_id[one.at("id")] = one.at("state");
    }
    return by_id;
  }
  long count(const std::string& state) const {
    const auto now = states();
    return std::ranges::count_if(now, [&](const auto& one) { return one.second == state; });
  }

  Cluster cluster_;
  std::vector<std::string> ids_;
};

/// What nodes logged of their programs, checked line by line: who runs where, and that nothing does twice.
struct Witness {
  std::map<std::string, int> on_node, of_job;  ///< programs that run
  std::map<std::string, int> starts;           ///< by job
  std::map<std::string, std::string> nodes;    ///< by worker

  void read(const std::string& line) {
    static const std::regex kStart("node ([^ ]+) starts worker ([0-9]+) of job ([^ ]+)$");
    static const std::regex kEnd("worker ([0-9]+) of job ([^ ]+) ended: exit code 0$");
    std::smatch found;
    if (std::regex_search(line, found, kStart)) {
      ++starts[found[3]];
      nodes[found[2]] = found[1];
      EXPECT_EQ(++on_node[found[1]], 1) << "a slot was given twice: " << line;
      EXPECT_EQ(++of_job[found[3]], 1) << "it runs twice: " << line;
    } else if (std::regex_search(line, found, kEnd)) {
      --on_node[nodes[found[1]]];
      --of_job[found[2]];
    }
  }
};

TEST_F(PretendNodes, LoseNoJobAndStartNoneTwiceWhenTheHeadIsKilledAgainAndAgain) {
  const auto file = job("env: {DS_PRETEND_SECONDS: \"20\"}\nrun: [\"true\"]\n");
  submit(file, 475);  // however slowly: nothing runs yet
  start_nodes(50, "10");
  for (int kill = 0; kill < 3; ++kill) {
    ASSERT_TRUE(wait_until([&] { return count("SUCCEEDED") > 100 * kill && count("RUNNING") > 0; }))
        << "nothing runs that could be lost: " << cluster_.logs();
    cluster_.head().kill_and_wait();
    cluster_.start_head();
  }
  submit(file, 25);
  ASSERT_EQ(ids_.size(), 500U);
  ASSERT_TRUE(wait_until([&] { return count("SUCCEEDED") == 500; })) << cluster_.logs();
  const auto last = states();
  for (const auto& id : ids_) EXPECT_EQ(last.at(id), "SUCCEEDED") << id;

  Witness witness;
  std::ifstream log(cluster_.path() / "many.log");
  for (std::string line; std::getline(log, line);) witness.read(line);
  EXPECT_EQ(witness.starts.size(), 500U);
  for (const auto& [id, starts] : witness.starts) EXPECT_EQ(starts, 1) << id;
  EXPECT_TRUE(std::ranges::all_of(witness.on_node, [](const auto& one) { return one.second == 0; }));
}

/// The head waits for the programs of a node that it does not hear of as long as they may run: here for ever.
TEST_F(PretendNodes, HaveLostTheirProgramsWhenTheyAreKilledAndStartedAgain) {
  std::string id;
  ASSERT_NO_FATAL_FAILURE(run_one_for_ever(id));
  cluster_.node("many").kill_and_wait();
  start_nodes(1, "1");
  expect_second_run(id);
  EXPECT_EQ(cluster_.status(id).at("restarts"), 0) << "its program did not crash";
}

/// The head that comes knows of them only what the journal says, and gives them up when it has waited for
/// them.
TEST_F(PretendNodes, HaveLostTheirProgramsWhenTheHeadIsKilledWithThemAndTheyComeBackLate) {
  std::string id;
  ASSERT_NO_FATAL_FAILURE(run_one_for_ever(id));
  cluster_.head().kill_and_wait();
  cluster_.node("many").kill_and_wait();
  cluster_.start_head({"--node-timeout", "3600"});
  ASSERT_TRUE(wait_until([&] {
    return cluster_.submit({"events"}).out.find("has not come back") != std::string::npos;
  })) << cluster_.logs();
  start_nodes(1, "1");
  expect_second_run(id);
}

TEST_F(PretendNodes, SayThatTheyPretendAndRunGangsOfCommandsAndNothingElse) {
  start_nodes(3, "1");
  const auto nodes = cluster_.json({"nodes"});
  for (const auto& node : nodes) EXPECT_EQ(node.at("pretends"), true);
  EXPECT_EQ(nodes.at(2).at("id"), "many-2");
  EXPECT_NE(cluster_.submit({"nodes"}).out.find("many-2 (pretends)"), std::string::npos);

  const auto gang = cluster_.submit_job(job("workers: 3\nrun: [\"true\"]\n"));
  ASSERT_TRUE(cluster_.wait_for_state(gang, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(gang).at("reason"), "all 3 ranks: exit code 0");

  const auto wrong =
      cluster_.submit_job(job("restart: 0\nenv: {DS_PRETEND_SECONDS: soon}\nrun: [\"true\"]\n"));
  ASSERT_TRUE(cluster_.wait_for_state(wrong, "FAILED")) << cluster_.logs();
  EXPECT_NE(cluster_.submit({"logs", wrong}).out.find("DS_PRETEND_SECONDS"), std::string::npos);

  const auto endless = cluster_.submit_job(job("env: {DS_PRETEND_SECONDS: \"100000\"}\nrun: [\"true\"]\n"));
  ASSERT_TRUE(cluster_.wait_for_state(endless, "RUNNING")) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"cancel", endless}).code, 0);
  ASSERT_TRUE(wait_until([&] { return cluster_.json({"nodes"}).at(0).at("slots_used") == 0; }))
      << cluster_.logs();

  const auto train =
      cluster_.submit_job(write_job(cluster_.path() / "work", "train", 1, 1, 1, "allreduce\nrestart: 0"));
  ASSERT_TRUE(cluster_.wait_for_state(train, "FAILED")) << cluster_.logs();
  EXPECT_NE(cluster_.status(train).at("reason").get<std::string>().find("--pretend"), std::string::npos)
      << cluster_.status(train);
}

}  // namespace
}  // namespace ds::tests
