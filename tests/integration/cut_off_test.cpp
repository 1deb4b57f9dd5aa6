// Nodes that are cut off from the head: their users' programs end before they start elsewhere.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/integration/cluster.hpp"
#include "tests/integration/network_hosts.hpp"

namespace ds::tests {
namespace {

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// A program that notes its starts and sees whether another is there, with all that it has started itself; it
/// pays no heed to SIGTERM. It ends when there is a file `go`.
std::filesystem::path write_program(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const auto file = folder / "job.yaml";
  std::ofstream(file) << "version: 1\nkind: command\nname: job\nresources: {memory: 64Mi}\nrestart: 0\n"
                         "run: |\n"
                         "  trap '' TERM\n"
                         "  exec 9>>lock\n"
                         "  flock -n 9 || echo overlap >> overlaps\n"
                         "  echo $DS_GENERATION $$ >> runs\n"
                         "  while [ ! -e go ]; do echo tick >> ticks; sleep 0.1; done\n";
  return file;
}

class CutOff : public ::testing::Test {
 protected:
  void start(int node_timeout_s) {
    more_ = {"--node-timeout", std::to_string(node_timeout_s)};
    cluster_.start_head(more_);
    cluster_.start_node("node-1", 1);
    ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
    id_ = cluster_.submit_job(write_program(work()));
    ASSERT_TRUE(wait_for_runs(1)) << cluster_.logs();
    ASSERT_TRUE(cluster_.wait_for_state(id_, "RUNNING")) << cluster_.logs();
  }

  void TearDown() override {
    for (const int pid : stopped_) kill(pid, SIGCONT);
  }

  void stop(int pid) {
    kill(pid, SIGSTOP);
    stopped_.push_back(pid);
  }

  std::filesystem::path work() const { return cluster_.path() / "work"; }
  std::vector<std::string> runs() const { return lines_of(work() / "runs"); }
  bool wait_for_runs(std::size_t count) const {
    return wait_until([&] { return runs().size() >= count; });
  }
  int pid_of_run(std::size_t run) const {
    std::istringstream line(runs().at(run));
    int generation = 0, pid = 0;
    line >> generation >> pid;
    return pid;
  }
  nlohmann::json node(const std::string& name) const {
    for (const auto& one : cluster_.json({"nodes"})) {
      if (one.at("id") == name) return one;
    }
    return {};
  }
  bool wait_for_node_state(const std::string& name, const std::string& state) const {
    return wait_until([&] {
      const auto one = node(name);
      return !one.is_null() && one.at("state") == state;
    });
  }

  void expect_success_after(std::size_t count) {
    std::ofstream(work() / "go") << "\n";
    EXPECT_TRUE(cluster_.wait_for_state(id_, "SUCCEEDED")) << cluster_.status(id_) << cluster_.logs();
    EXPECT_EQ(runs().size(), count);
    EXPECT_FALSE(std::filesystem::exists(work() / "overlaps")) << "the program ran twice at once";
    EXPECT_EQ(cluster_.status(id_).at("restarts"), 0);
  }

  Cluster cluster_;
  std::vector<std::string> more_;
  std::string id_;
  std::vector<int> stopped_;
};

TEST_F(CutOff, ProgramsEndThoughTheirNodeStandsStillAndStartElsewhereAfterThat) {
  start(6);
  cluster_.start_node("node-2", 1);
  stop(cluster_.node("node-1").pid());
  ASSERT_TRUE(wait_until([&] { return !is_running(pid_of_run(0)); })) << "nothing ended it";
  ASSERT_TRUE(wait_for_runs(2)) << cluster_.status(id_) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(id_, "RUNNING"));
  cluster_.node("node-1").signal(SIGCONT);
  ASSERT_TRUE(wait_for_node_state("node-1", "UP")) << cluster_.logs();
  expect_success_after(2);
  EXPECT_EQ(node("node-1").at("slots_used"), 0);
}

TEST_F(CutOff, ProgramsGoOnWhenTheirNodeIsBackInTime) {
  start(60);
  cluster_.start_node("node-2", 1);
  stop(cluster_.node("node-1").pid());
  ASSERT_TRUE(wait_for_node_state("node-1", "DOWN")) << cluster_.logs();
  ASSERT_TRUE(wait_until([&] {
    return std::string(cluster_.status(id_).at("reason")).find("nothing is heard of node node-1") == 0;
  })) << cluster_.status(id_);
  cluster_.node("node-1").signal(SIGCONT);
  ASSERT_TRUE(wait_for_node_state("node-1", "UP")) << cluster_.logs();
  EXPECT_TRUE(wait_until([&] { return cluster_.status(id_).at("reason") == "runs with 1 worker"; }))
      << cluster_.status(id_);
  expect_success_after(1);
}

TEST_F(CutOff, ProgramsGoOnForAsLongAsNoHeadRuns) {
  start(6);
  cluster_.head().kill_and_wait();
  const auto ticks = lines_of(work() / "ticks").size();
  // Longer than the term and the time that programs get to end.
  ASSERT_TRUE(wait_until([&] { return lines_of(work() / "ticks").size() > ticks + 130; }));
  cluster_.start_head(more_);
  ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  expect_success_after(1);
}

TEST_F(CutOff, ProgramsEndWhenTheHeadStandsStillAndThatIsNoCrash) {
  start(6);
  stop(cluster_.head().pid());
  ASSERT_TRUE(wait_until([&] { return !is_running(pid_of_run(0)); })) << "nothing ended it";
  cluster_.head().signal(SIGCONT);
  ASSERT_TRUE(wait_for_runs(2)) << cluster_.status(id_) << cluster_.logs();
  expect_success_after(2);
}

TEST_F(CutOff, AnotherNodeOfTheNameDoesNotStartThemBeforeTheyHaveEnded) {
  start(6);
  stop(cluster_.node("node-1").pid());
  ASSERT_TRUE(wait_for_node_state("node-1", "DOWN")) << cluster_.logs();
  const Process other(
      {program("ds-node").string(), "--head", cluster_.address(), "--secret-file",
       (cluster_.path() / "head/cluster.secret").string(), "--name", "node-1", "--slots", "2"},
      cluster_.path() / "other.log");
  ASSERT_TRUE(wait_for_node_state("node-1", "UP")) << cluster_.logs();
  ASSERT_TRUE(wait_for_runs(2)) << cluster_.status(id_) << cluster_.logs();
  EXPECT_FALSE(is_running(pid_of_run(0)));
  expect_success_after(2);
}

TEST(CutOffByTheNetwork, ProgramsEndOnTheirHostBeforeTheyStartOnAnother) {
  fabric::tests::NetworkHosts hosts;
  if (!hosts.missing().empty()) GTEST_SKIP() << hosts.missing();
  TemporaryFolder folder;
  const auto on = [&](int host, std::vector<std::string> rest) {
    auto command = hosts.on(host);
    command.insert(command.begin(), "/usr/bin/env");
    command.insert(command.end(), rest.begin(), rest.end());
    return command;
  };
  const auto head = folder.path() / "head";
  const std::string address = hosts.ipv4(0) + ":8080";
  const Process head_process(on(0, {program("ds-head").string(), "--data-dir", head.string(),
                                    "--insecure-listen", address, "--node-timeout", "6"}),
                             folder.path() / "head.log");
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(head / "address"); }));
  const auto node = [&](int host, const std::string& name) {
    return Process(on(host, {program("ds-node").string(), "--head", address, "--secret-file",
                             (head / "cluster.secret").string(), "--name", name, "--slots", "1",
                             "--insecure-listen", hosts.ipv4(host)}),
                   folder.path() / (name + ".log"));
  };
  const auto submit = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program("ds-submit").string());
    return run_program(on(0, arguments), {{"DS_HEAD", address}});
  };
  const auto nodes_up = [&] {
    const auto listed = nlohmann::json::parse(submit({"nodes", "-o", "json"}).out, nullptr, false);
    if (!listed.is_array()) return std::ptrdiff_t{0};
    return std::ranges::count_if(listed, [](const auto& one) { return one.at("state") == "UP"; });
  };
  const Process far = node(1, "far");
  ASSERT_TRUE(wait_until([&] { return nodes_up() == 1; }));
  const auto work = folder.path() / "work";
  const auto submitted = submit({"submit", "-f", write_program(work).string()});
  ASSERT_EQ(submitted.code, 0) << submitted.err;
  ASSERT_TRUE(wait_until([&] { return lines_of(work / "runs").size() == 1; }));
  const Process near = node(0, "near");
  ASSERT_TRUE(wait_until([&] { return nodes_up() == 2; }));

  hosts.unplug();
  ASSERT_TRUE(wait_until([&] { return lines_of(work / "runs").size() == 2; }));
  EXPECT_FALSE(std::filesystem::exists(work / "overlaps")) << "the program ran twice at once";
  hosts.plug();
  EXPECT_TRUE(wait_until([&] { return nodes_up() == 2; }));
  std::ofstream(work / "go") << "\n";
  EXPECT_TRUE(wait_until([&] {
    const auto status = nlohmann::json::parse(submit({"status", "job", "-o", "json"}).out, nullptr, false);
    return status.is_object() && status.at("state") == "SUCCEEDED" && status.at("restarts") == 0;
  })) << submit({"status", "job"}).out;
  EXPECT_EQ(lines_of(work / "runs").size(), 2U);
}

}  // namespace
}  // namespace ds::tests
