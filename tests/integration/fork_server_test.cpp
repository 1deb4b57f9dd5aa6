// Processes of jobs are forks of a process that a node keeps for it: that one is killed, and they are.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "actors/node/fork_server.hpp"
#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

std::string read(int pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

int parent_of(int pid) {
  const auto stat = read(pid, "stat");
  return stat.empty() ? 0 : std::stoi(stat.substr(stat.rfind(')') + 4));
}

std::set<int> children_of(int pid) {
  std::ifstream list("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  return {std::istream_iterator<int>(list), {}};
}

/// The one that was not forked from another; 0: none.
int fork_server_of(int spawner) {
  for (const int child : children_of(spawner)) {
    if (read(child, "cmdline").find("--fork-server") != std::string::npos) return child;
  }
  return 0;
}

int spawner_of(Cluster& cluster, const std::string& node) {
  const auto children = children_of(cluster.node(node).pid());
  return children.size() == 1 ? *children.begin() : 0;
}

class ForkServers : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!node::kHasForkServers) GTEST_SKIP() << "ThreadSanitizer has a thread in every process";
  }
};

TEST_F(ForkServers, StandReadyOnAllNodesOnceAModelIsServed) {
  Cluster cluster;
  cluster.start_head();
  for (const auto* name : {"node-1", "node-2"}) cluster.start_node(name, 1);
  ASSERT_TRUE(cluster.wait_for_nodes(2)) << cluster.logs();
  for (const auto* name : {"node-1", "node-2"}) EXPECT_EQ(fork_server_of(spawner_of(cluster, name)), 0);
  ASSERT_EQ(mkfifo((cluster.path() / "model.pt").c_str(), 0600), 0);  // its replica loads for ever
  const auto file = cluster.path() / "answers.yaml";
  std::ofstream(file)
      << "version: 1\nkind: serve\nname: answers\nresources: {memory: 512Mi}\n"
      << "model: {source: \"file:model.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 1]}], "
      << "outputs: [{name: y}]}\n";
  cluster.submit_job(file);
  for (const auto* name : {"node-1", "node-2", "node-3"}) {
    if (name == std::string("node-3")) cluster.start_node(name, 1);  // it comes later
    EXPECT_TRUE(wait_until([&] { return fork_server_of(spawner_of(cluster, name)) > 0; })) << cluster.logs();
  }
}

TEST_F(ForkServers, MayBeKilledWhileJobsTrainAndLeaveNothingBehind) {
  Cluster cluster;
  cluster.start_head();
  cluster.start_node("node-1", 3);
  ASSERT_TRUE(cluster.wait_for_nodes(1)) << cluster.logs();
  const auto job = cluster.submit_job(write_job(cluster.path() / "long", "long", 2'000, 1, 2));
  ASSERT_TRUE(cluster.wait_for_step(job, 1)) << cluster.logs();
  ASSERT_TRUE(wait_until([&] { return cluster.worker_pids(job).size() == 2; })) << cluster.logs();
  const auto workers = cluster.worker_pids(job);
  const int spawner = parent_of(workers.at(0)), server = fork_server_of(spawner);
  ASSERT_GT(server, 0);
  for (const int worker : workers) {
    EXPECT_EQ(parent_of(worker), spawner);
    EXPECT_NE(read(worker, "cmdline").find(job), std::string::npos) << "ps shows whose it is";
  }

  kill(server, SIGKILL);
  ASSERT_TRUE(wait_until([&] { return !children_of(spawner).contains(server); }));
  const auto next = cluster.submit_job(write_job(cluster.path() / "short", "short", 1, 1, 1));
  EXPECT_TRUE(cluster.wait_for_state(next, "SUCCEEDED")) << cluster.logs();
  EXPECT_EQ(cluster.worker_pids(job), workers) << "nobody was disturbed" << cluster.logs();

  kill(workers.at(0), SIGABRT);
  EXPECT_TRUE(wait_until([&] {
    const auto logs = cluster.logs();
    return logs.find(job + " ended: killed by signal 6 (Aborted)") != std::string::npos;
  })) << cluster.logs();
  EXPECT_TRUE(wait_until([&] { return cluster.worker_pids(job).size() == 2; })) << cluster.logs();

  const auto all = children_of(spawner);
  EXPECT_TRUE(all.contains(fork_server_of(spawner)));
  cluster.node("node-1").kill_and_wait();
  EXPECT_TRUE(wait_until([&] { return !is_running(spawner); }));
  for (const int pid : all) EXPECT_TRUE(wait_until([&] { return !is_running(pid); })) << pid;
}

}  // namespace
}  // namespace ds::tests
