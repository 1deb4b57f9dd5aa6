#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "actors/node/spawner.hpp"
#include "tests/unit/node/process_life.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::node {
namespace {

/// A program that ignores SIGTERM with all it starts, one of which leaves group and session. Prints the pids
/// of both, then waits.
constexpr const char* kStubborn =
    "trap '' TERM; setsid sleep 1000 & echo $!; sleep 1000 & echo $!; while :; do sleep 1; done";

class Commands : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = Spawner::start();
    ASSERT_TRUE(started);
    spawner_ = std::move(*started);
  }

  void start(const std::string& script, const std::vector<std::string>& variables = {}) {
    ASSERT_TRUE(spawner_->spawn_command(1, {"sh", "-c", script}, "/", variables));
  }

  std::unique_ptr<Spawner> spawner_;
};

/// The process ids that a command prints, one a line.
std::vector<int> printed_pids(Spawner& spawner, std::size_t count) {
  std::string output;
  while (static_cast<std::size_t>(std::ranges::count(output, '\n')) < count) {
    auto event = spawner.wait_event();
    if (!event) return {};
    if (const auto* piece = std::get_if<ProcessOutput>(&*event)) output += piece->bytes;
  }
  std::vector<int> pids;
  std::istringstream lines(output);
  for (int pid = 0; lines >> pid;) pids.push_back(pid);
  return pids;
}

TEST_F(Commands, RunInTheirFolderWithTheirVariables) {
  TemporaryFolder folder;
  ASSERT_TRUE(spawner_->spawn_command(1, {"sh", "-c", "pwd; echo \"$A|$B\"; exit 3"}, folder.path(),
                                      {"A=a b=c", "B="}));
  const auto life = wait_for_exit(*spawner_, 1);
  EXPECT_EQ(life.output, folder.path().string() + "\na b=c|\n");
  ASSERT_TRUE(WIFEXITED(life.status));
  EXPECT_EQ(WEXITSTATUS(life.status), 3);
}

TEST_F(Commands, SayWhyTheyCannotBeStarted) {
  ASSERT_TRUE(spawner_->spawn_command(1, {"./nothing"}, "/", {}));
  const auto life = wait_for_exit(*spawner_, 1);
  EXPECT_EQ(WEXITSTATUS(life.status), 127);
  EXPECT_EQ(life.output, "cannot start ./nothing: No such file or directory\n");
  ASSERT_TRUE(spawner_->spawn_command(2, {"true"}, "/nowhere", {}));
  const auto other = wait_for_exit(*spawner_, 2);
  EXPECT_EQ(WEXITSTATUS(other.status), 127);
  EXPECT_EQ(other.output, "cannot enter /nowhere: No such file or directory\n");
}

TEST_F(Commands, AreReportedWithTheSignalThatEndedThem) {
  start("kill -SEGV $$");
  const auto life = wait_for_exit(*spawner_, 1);
  ASSERT_TRUE(WIFSIGNALED(life.status));
  EXPECT_EQ(WTERMSIG(life.status), SIGSEGV);
}

TEST_F(Commands, LeaveNothingBehindWhenTheyEnd) {
  start("setsid sleep 1000 & echo $!; (setsid sh -c 'sleep 1000 & echo $!; wait' &) ; sleep 0.1; exit 0");
  const auto pids = printed_pids(*spawner_, 2);
  const auto life = wait_for_exit(*spawner_, 1);
  EXPECT_TRUE(WIFEXITED(life.status));
  ASSERT_EQ(pids.size(), 2U);
  for (const int pid : pids) EXPECT_FALSE(is_running(pid)) << "they are gone before the exit is reported";
}

TEST_F(Commands, HearSigterm) {
  start("trap 'echo bye; exit 5' TERM; echo 0; while :; do sleep 0.05; done");
  printed_pids(*spawner_, 1);
  spawner_->terminate(1);
  const auto life = wait_for_exit(*spawner_, 1);
  EXPECT_TRUE(life.output.ends_with("bye\n")) << life.output;  // its shell may tell of the sleep that ended
  EXPECT_EQ(WEXITSTATUS(life.status), 5);
}

TEST_F(Commands, GiveWhatAShellStartedItsTimeToEndToo) {
  // The outer shell has no trap and ends at once; what it waits for does not.
  start("sh -c \"trap 'sleep 0.5; echo saved; exit 0' TERM; echo 0; while :; do sleep 0.05; done\"; true");
  printed_pids(*spawner_, 1);
  spawner_->terminate(1);
  const auto life = wait_for_exit(*spawner_, 1);
  EXPECT_TRUE(life.output.ends_with("saved\n")) << life.output;
  EXPECT_TRUE(WIFSIGNALED(life.status)) << "the shell's own end is reported";
}

TEST_F(Commands, RefuseAPacketThatCountsMoreVariablesThanItHas) {
  ASSERT_TRUE(spawner_->spawn_command(1, {"true"},
                                      std::string("/\0"
                                                  "18446744073709551615",
                                                  22),
                                      {}));
  EXPECT_EQ(WEXITSTATUS(wait_for_exit(*spawner_, 1).status), 127);
  ASSERT_TRUE(spawner_->spawn_command(2, {"true"}, "/", {})) << "the spawner lives";
  EXPECT_EQ(WEXITSTATUS(wait_for_exit(*spawner_, 2).status), 0);
}

TEST_F(Commands, EndWithAllTheyStartedThoughTheyIgnoreSigterm) {
  start(kStubborn);
  const auto pids = printed_pids(*spawner_, 2);
  spawner_->terminate(1);
  ASSERT_TRUE(is_running(pids.at(0)) && is_running(pids.at(1)));
  spawner_->kill(1);
  const auto life = wait_for_exit(*spawner_, 1);
  ASSERT_TRUE(WIFSIGNALED(life.status));
  EXPECT_EQ(WTERMSIG(life.status), SIGKILL);
  for (const int pid : pids) EXPECT_FALSE(is_running(pid));
}

TEST_F(Commands, EndWhenTheSpawnerIsKilled) {
  start(kStubborn);
  const int program = first_pid(*spawner_);
  const auto pids = printed_pids(*spawner_, 2);
  kill(parent_of(parent_of(program)), SIGKILL);
  EXPECT_TRUE(ends_soon(program));
  for (const int pid : pids) EXPECT_TRUE(ends_soon(pid));
}

TEST_F(Commands, EndWhenTheirKeeperIsKilled) {
  start(kStubborn);
  const int program = first_pid(*spawner_);
  const auto pids = printed_pids(*spawner_, 2);
  kill(parent_of(program), SIGKILL);
  const auto life = wait_for_exit(*spawner_, 1);
  EXPECT_EQ(WTERMSIG(life.status), SIGKILL);
  EXPECT_TRUE(ends_soon(program));
  for (const int pid : pids) EXPECT_TRUE(ends_soon(pid));
}

TEST(CommandsOfANode, EndWhenItIsKilled) {
  int report[2];
  ASSERT_EQ(pipe(report), 0);
  const int parent = fork();
  if (parent == 0) {  // stands for ds-node
    auto spawner = Spawner::start();
    (*spawner)->spawn_command(1, {"sh", "-c", kStubborn}, "/", {});
    const auto pids = printed_pids(**spawner, 2);
    if (write(report[1], pids.data(), 2 * sizeof(int)) != 2 * sizeof(int)) _exit(1);
    pause();
  }
  int pids[2];
  ASSERT_EQ(read(report[0], pids, sizeof pids), static_cast<ssize_t>(sizeof pids));
  const int program = parent_of(pids[1]);
  ASSERT_TRUE(is_running(pids[0]) && is_running(pids[1]) && is_running(program));
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  for (const int pid : {pids[0], pids[1], program}) EXPECT_TRUE(ends_soon(pid));
  close(report[0]);
  close(report[1]);
}

TEST_F(Commands, ComeAndGoByTheHundred) {
  for (std::uint64_t worker = 1; worker <= 300; ++worker)
    ASSERT_TRUE(spawner_->spawn_command(worker, {"/bin/true"}, "/", {}));
  std::size_t ended = 0;
  while (ended < 300) {
    auto event = spawner_->wait_event();
    ASSERT_TRUE(event);
    const auto* exited = std::get_if<ProcessExited>(&*event);
    if (exited == nullptr) continue;
    EXPECT_EQ(exited->status, 0);
    ++ended;
  }
}

void begin_short_term(Fence& fence) {
  fence.extend(Fence::now_ns() + 50'000'000);
}

TEST_F(Commands, EndWithAllTheyHaveStartedWhenTheirTermIsOver) {
  start(kStubborn);
  const auto pids = printed_pids(*spawner_, 2);
  ASSERT_EQ(pids.size(), 2U);
  begin_short_term(spawner_->fence());
  const auto life = wait_for_exit(*spawner_, 1);
  ASSERT_TRUE(WIFSIGNALED(life.status));
  EXPECT_EQ(WTERMSIG(life.status), SIGTERM) << "it says why";
  for (const int pid : pids) EXPECT_FALSE(is_running(pid));
}

TEST_F(Commands, AreNotThroughWhenTheyEndWith0BecauseTheirTermIsOver) {
  start("trap 'exit 0' TERM; echo 1; while :; do sleep 0.05; done");
  ASSERT_EQ(printed_pids(*spawner_, 1).size(), 1U);
  begin_short_term(spawner_->fence());
  const auto life = wait_for_exit(*spawner_, 1);
  ASSERT_TRUE(WIFSIGNALED(life.status));
  EXPECT_EQ(WTERMSIG(life.status), SIGTERM);
}

TEST_F(Commands, AreNotStartedByAnOrderOfATermThatIsOver) {
  auto& fence = spawner_->fence();
  fence.extend(Fence::now_ns());
  ASSERT_EQ(fence.left_ns(fence.term()), 0);
  start("echo started");
  const auto life = wait_for_exit(*spawner_, 1);
  EXPECT_EQ(life.output, "");
  EXPECT_NE(life.status, 0);
}

bool takes_connections(const std::string& address) {
  const auto colon = address.rfind(':');
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &target.sin_addr);
  const int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool taken = connect(one, reinterpret_cast<sockaddr*>(&target), sizeof target) == 0;
  close(one);
  return taken;
}

int open_sockets(int pid) {
  int count = 0;
  for (const auto& one : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    if (std::filesystem::read_symlink(one).string().starts_with("socket:")) ++count;
  }
  return count;
}

TEST_F(Commands, ShowASignOfLifeUntilTheLastOfTheirKeepersHasEnded) {
  const auto sign = spawner_->sign_of_life();
  start("exec sleep 1000");
  const int program = first_pid(*spawner_);
  const int keeper = parent_of(program);
  const int spawner = parent_of(keeper);
  EXPECT_TRUE(takes_connections(sign));
  // They are told of a moment before they have closed what they were forked with.
  EXPECT_TRUE(holds_soon([&] { return open_sockets(keeper) == 1; }));
  EXPECT_TRUE(holds_soon([&] { return open_sockets(program) == 0; }))
      << "it would outlive what it is a sign of";
  ASSERT_EQ(kill(spawner, SIGKILL), 0);
  EXPECT_TRUE(ends_soon(program));
  EXPECT_TRUE(holds_soon([&] { return !takes_connections(sign); }));
}

TEST_F(Commands, EndThoughANewTermHasBegunAndThoseOfTheNewOneGoOn) {
  start("echo 1; exec sleep 1000");
  ASSERT_EQ(printed_pids(*spawner_, 1).size(), 1U);
  auto& fence = spawner_->fence();
  fence.extend(Fence::now_ns() + 1'000'000);
  ASSERT_TRUE(holds_soon([&] { return fence.left_ns(fence.term()) == 0; }));
  // So soon that no keeper need have seen the end of the last.
  ASSERT_TRUE(fence.extend(Fence::now_ns() + 600'000'000'000));
  ASSERT_TRUE(spawner_->spawn_command(2, {"sh", "-c", "sleep 1.5"}, "/", {}));
  const auto life = wait_for_exit(*spawner_, 1);
  ASSERT_TRUE(WIFSIGNALED(life.status));
  EXPECT_EQ(WTERMSIG(life.status), SIGTERM);
  const auto other = wait_for_exit(*spawner_, 2);  // longer than any keeper's nap
  EXPECT_TRUE(WIFEXITED(other.status));
}

}  // namespace
}  // namespace ds::node
