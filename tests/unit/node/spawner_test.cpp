#include "actors/node/spawner.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/unit/node/process_life.hpp"

namespace ds::node {
namespace {

TEST(Spawner, ReportsOutputAndExitCode) {
  auto spawner = Spawner::start();
  ASSERT_TRUE(spawner);
  ASSERT_TRUE((*spawner)->spawn(3, {"/bin/sh", "-c", "echo out; echo err >&2; exit 7"}));
  const auto life = wait_for_exit(**spawner, 3);
  EXPECT_GT(life.pid, 0);
  EXPECT_EQ(life.output, "out\nerr\n");
  ASSERT_TRUE(WIFEXITED(life.status));
  EXPECT_EQ(WEXITSTATUS(life.status), 7);
}

TEST(Spawner, DeliversAllOutputBeforeTheExit) {
  auto spawner = Spawner::start();
  ASSERT_TRUE(spawner);
  ASSERT_TRUE((*spawner)->spawn(1, {"/bin/sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"}));
  EXPECT_EQ(wait_for_exit(**spawner, 1).output.size(), 3'000'000U);
}

TEST(Spawner, HoldsMoreProgramsThanOneMayUsuallyHaveDescriptors) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 24;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  auto spawner = Spawner::start();
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(spawner);
  constexpr std::uint64_t kMany = 40;
  for (std::uint64_t i = 1; i < kMany; ++i) ASSERT_TRUE((*spawner)->spawn(i, {"/bin/sleep", "1000"}));
  ASSERT_TRUE((*spawner)->spawn(kMany, {"/bin/sh", "-c", "ulimit -Sn"}));
  const auto worker = wait_for_exit(**spawner, kMany);
  EXPECT_EQ(worker.output, "24\n") << "programs have what they always had";
  ASSERT_TRUE((*spawner)->spawn_command(kMany + 1, {"/bin/sh", "-c", "ulimit -Sn"}, "/", {}));
  EXPECT_EQ(wait_for_exit(**spawner, kMany + 1).output, "24\n");
}

TEST(Spawner, SaysWhyAProgramCannotBeStarted) {
  auto spawner = Spawner::start();
  ASSERT_TRUE(spawner);
  ASSERT_TRUE((*spawner)->spawn(1, {"/nowhere/ds-actor"}));
  const auto life = wait_for_exit(**spawner, 1);
  EXPECT_EQ(WEXITSTATUS(life.status), 127);
  EXPECT_NE(life.output.find("/nowhere/ds-actor: No such file"), std::string::npos);
}

TEST(Spawner, KillsAWholeProcessGroup) {
  auto spawner = Spawner::start();
  ASSERT_TRUE(spawner);
  ASSERT_TRUE((*spawner)->spawn(1, {"/bin/sh", "-c", "sleep 1000 & echo $!; wait"}));
  std::string output;
  while (output.find('\n') == std::string::npos) {
    auto event = (*spawner)->wait_event();
    ASSERT_TRUE(event);
    if (const auto* piece = std::get_if<ProcessOutput>(&*event)) output += piece->bytes;
  }
  const int grandchild = std::stoi(output);
  ASSERT_TRUE(is_running(grandchild));
  (*spawner)->kill(1);
  const auto life = wait_for_exit(**spawner, 1);
  EXPECT_TRUE(WIFSIGNALED(life.status));
  EXPECT_TRUE(ends_soon(grandchild));
}

TEST(Spawner, LeavesNoWorkerWhenItsParentIsKilled) {
  int report[2];
  ASSERT_EQ(pipe(report), 0);
  const int parent = fork();
  if (parent == 0) {  // stands for ds-node
    auto spawner = Spawner::start();
    (*spawner)->spawn(1, {"/bin/sleep", "1000"});
    const int pid = first_pid(**spawner);
    if (write(report[1], &pid, sizeof pid) != sizeof pid) _exit(1);
    pause();
  }
  int worker = 0;
  ASSERT_EQ(read(report[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  ASSERT_TRUE(is_running(worker));
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  EXPECT_TRUE(ends_soon(worker));
  close(report[0]);
  close(report[1]);
}

TEST(Spawner, LeavesNoWorkerWhenItIsKilledItself) {
  auto spawner = Spawner::start();
  ASSERT_TRUE(spawner);
  ASSERT_TRUE((*spawner)->spawn(1, {"/bin/sleep", "1000"}));
  const int worker = first_pid(**spawner);
  std::ifstream stat("/proc/" + std::to_string(worker) + "/stat");
  std::string line;
  ASSERT_TRUE(std::getline(stat, line));
  const int spawner_pid = std::stoi(line.substr(line.rfind(')') + 4));
  ASSERT_NE(spawner_pid, getpid());
  kill(spawner_pid, SIGKILL);
  EXPECT_TRUE(ends_soon(worker));
  EXPECT_FALSE((*spawner)->wait_event());
}

TEST(Spawner, HoldsAChattyWorkerBackInsteadOfFillingMemory) {
  auto spawner = Spawner::start();
  ASSERT_TRUE(spawner);
  // Nobody takes events while it writes, so it must block: it can never get to the file.
  const std::string mark = testing::TempDir() + "chatty-" + std::to_string(getpid());
  ASSERT_TRUE((*spawner)->spawn(1, {"/bin/sh", "-c", "head -c 20000000 /dev/zero; touch " + mark}));
  ASSERT_TRUE((*spawner)->spawn(2, {"/bin/true"}));
  EXPECT_NE(access(mark.c_str(), F_OK), 0);
  EXPECT_EQ(wait_for_exit(**spawner, 1).output.size(), 20'000'000U);
  EXPECT_EQ(access(mark.c_str(), F_OK), 0);
  unlink(mark.c_str());
}

}  // namespace
}  // namespace ds::node
