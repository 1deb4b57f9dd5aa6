#include "actors/node/pretend_programs.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

namespace ds::node {
namespace {

using std::chrono::steady_clock;

struct End {
  std::size_t node = 0;
  std::uint64_t worker = 0;
  int status = 0;
  std::string output;
};

/// Of the program whose end comes next.
End wait_for_end(PretendPrograms& programs) {
  End end;
  while (auto happened = programs.wait_event()) {
    if (const auto* output = std::get_if<ProcessOutput>(&happened->event)) end.output += output->bytes;
    const auto* exited = std::get_if<ProcessExited>(&happened->event);
    if (exited == nullptr) continue;
    end.node = happened->node;
    end.worker = exited->worker;
    end.status = exited->status;
    break;
  }
  return end;
}

TEST(PretendPrograms, StartAtOnceAndEndWellWhenTheirTimeIsOver) {
  PretendPrograms programs(10);
  const auto node = programs.launcher_of(3);
  const auto start = steady_clock::now();
  ASSERT_TRUE(node->spawn_command(7, {"true"}, "/", {"A=B", "DS_PRETEND_SECONDS=2"}));
  const auto first = programs.wait_event();
  ASSERT_TRUE(first && std::holds_alternative<ProcessStarted>(first->event));
  EXPECT_EQ(first->node, 3U);
  const auto end = wait_for_end(programs);
  EXPECT_GE(steady_clock::now() - start, std::chrono::milliseconds(200)) << "2 s at ten times the speed";
  EXPECT_EQ(end.worker, 7U);
  EXPECT_TRUE(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0);
}

TEST(PretendPrograms, EndInTheOrderOfTheirTimesWhicheverNodeTheyAreOn) {
  PretendPrograms programs(1000);
  const auto one = programs.launcher_of(1), two = programs.launcher_of(2);
  // The shorter ones first: a test that is kept waiting between two of these makes their ends differ more.
  ASSERT_TRUE(two->spawn_command(3, {"true"}, "/", {}));
  ASSERT_TRUE(two->spawn_command(2, {"true"}, "/", {"DS_PRETEND_SECONDS=100"}));
  ASSERT_TRUE(one->spawn_command(1, {"true"}, "/", {"DS_PRETEND_SECONDS=300"}));
  EXPECT_EQ(wait_for_end(programs).worker, 3U);
  EXPECT_EQ(wait_for_end(programs).worker, 2U);
  EXPECT_EQ(wait_for_end(programs).worker, 1U);
}

TEST(PretendPrograms, EndAtOnceByTheSignalThatTheyAreSent) {
  PretendPrograms programs(1);
  const auto node = programs.launcher_of(0);
  ASSERT_TRUE(node->spawn_command(1, {"true"}, "/", {"DS_PRETEND_SECONDS=1000"}));
  ASSERT_TRUE(node->spawn_command(2, {"true"}, "/", {"DS_PRETEND_SECONDS=1000"}));
  node->kill(1);
  const auto killed = wait_for_end(programs);
  EXPECT_EQ(killed.worker, 1U);
  EXPECT_TRUE(WIFSIGNALED(killed.status) && WTERMSIG(killed.status) == SIGKILL);
  node->kill(1);  // is gone already
  node->terminate(2);
  const auto ended = wait_for_end(programs);
  EXPECT_EQ(ended.worker, 2U);
  EXPECT_TRUE(WIFSIGNALED(ended.status) && WTERMSIG(ended.status) == SIGTERM);
}

TEST(PretendPrograms, FailWhenTheirTimeIsNoNumberAndSayWhatItShouldBe) {
  PretendPrograms programs(1);
  const auto node = programs.launcher_of(0);
  for (const auto* wrong : {"soon", "-1", "", "nan", "1e300", "2 "}) {
    ASSERT_TRUE(node->spawn_command(1, {"true"}, "/", {std::string("DS_PRETEND_SECONDS=") + wrong}));
    const auto end = wait_for_end(programs);
    EXPECT_TRUE(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 2) << wrong;
    EXPECT_NE(end.output.find("DS_PRETEND_SECONDS"), std::string::npos) << wrong;
  }
}

TEST(PretendPrograms, RefuseWhatIsNotAUsersProgram) {
  PretendPrograms programs(1);
  const auto refused = programs.launcher_of(0)->spawn(1, {"ds-actor"});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("--pretend"), std::string::npos);
}

TEST(PretendPrograms, EndWaitingWhenTheyAreClosed) {
  PretendPrograms programs(1);
  const auto node = programs.launcher_of(0);
  ASSERT_TRUE(node->spawn_command(1, {"true"}, "/", {"DS_PRETEND_SECONDS=1000"}));
  ASSERT_TRUE(programs.wait_event());
  std::thread closer([&] { programs.close(); });
  EXPECT_FALSE(programs.wait_event());
  closer.join();
}

}  // namespace
}  // namespace ds::node
