// Processes of jobs are forks of a process that a node keeps for it: that one is killed, and they are.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

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

TEST(ForkServer, MayBeKilledWhileJobsTrainAndLeavesNothingBehind) {
  Cluster cluster;
  cluster.start_head();
  cluster.start_node("node-1", 3);
  ASSERT_TRUE(cluster.wait_for_nodes(1)) << cluster.logs();
  const auto job = cluster.submit_job(write_job(cluster.path() / "long", "long", 2'000, 1, 2));
  ASSERT_TRUE(cluster.wait_for_step(job, 1)) << cluster.logs();
  ASSERT_TRUE(wait_until([&] { return cluster.worker_pids(job).size() == 2; })) << cluster.logs();
  const auto workers = cluster.worker_pids(job);
  const int spawner = parent_of(workers.at(0)), server = fork_server_of(spawner);
  if (server == 0) GTEST_SKIP() << "this build has no fork servers";
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
