#include "actors/node/fork_server.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "actors/node/fork_server_watch.hpp"
#include "tests/unit/node/process_life.hpp"

namespace ds::node {
namespace {

using Watch = ForkServerWatch;

TEST(ForkServerWatch, GivesUpAfterSomeThatAnsweredNothing) {
  Watch watch;
  for (int failure = 0; failure < Watch::kMostFailures; ++failure) {
    ASSERT_TRUE(watch.may_start());
    watch.on_started({});
    EXPECT_FALSE(watch.may_start());
    if (failure > 0) watch.on_ready();
    watch.on_ended();
  }
  EXPECT_TRUE(watch.is_given_up());
  EXPECT_FALSE(watch.may_start());
}

TEST(ForkServerWatch, StartsAnotherAsOftenAsOneEndsThatHasAnswered) {
  Watch watch;
  for (int round = 0; round < 10 * Watch::kMostFailures; ++round) {
    ASSERT_TRUE(watch.may_start());
    watch.on_started({});
    watch.on_ready();
    watch.on_answer({});
    watch.on_ended();
  }
}

TEST(ForkServerWatch, StartsNoOtherAfterARefusal) {
  Watch watch;
  watch.on_started({});
  watch.on_refusal();
  EXPECT_FALSE(watch.is_there());
  EXPECT_FALSE(watch.may_start());
}

TEST(ForkServerWatch, WaitsForAStartAndForAnswersOnly) {
  Watch watch;
  const Watch::Moment begin{std::chrono::hours(1)};
  EXPECT_EQ(watch.late_at({}), Watch::Moment::max());
  watch.on_started(begin);
  EXPECT_EQ(watch.late_at({}), begin + Watch::kStartLimit);
  watch.on_ready();
  EXPECT_EQ(watch.late_at({}), Watch::Moment::max());
  EXPECT_EQ(watch.late_at(begin), begin + Watch::kAnswerLimit);
}

TEST(ForkServerWatch, IsNotLateWithABurstWhileItAnswers) {
  Watch watch;
  const Watch::Moment sent{std::chrono::hours(1)};
  watch.on_started(sent);
  watch.on_ready();
  const auto answered = sent + Watch::kAnswerLimit - std::chrono::seconds(1);
  watch.on_answer(answered);
  EXPECT_EQ(watch.late_at(sent), answered + Watch::kAnswerLimit) << "others of the burst are older";
  const auto later = answered + std::chrono::minutes(1);
  EXPECT_EQ(watch.late_at(later), later + Watch::kAnswerLimit);
}

std::string program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "forked_program";
}

std::set<int> children_of(int pid) {
  const auto number = std::to_string(pid);
  std::ifstream list("/proc/" + number + "/task/" + number + "/children");
  return {std::istream_iterator<int>(list), {}};
}

std::string command_line(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  while (text.ends_with('\0')) text.pop_back();
  std::ranges::replace(text, '\0', ' ');
  return text;
}

class ForkServer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kHasForkServers) GTEST_SKIP() << "ThreadSanitizer has a thread in every process";
    start();
  }
  void TearDown() override { unsetenv("DS_FORK_SERVER"); }

  void start() {
    auto started = Spawner::start("127.0.0.1", program());
    ASSERT_TRUE(started);
    spawner_ = std::move(*started);
  }
  void spawn(std::uint64_t worker, std::vector<std::string> words) {
    words.insert(words.begin(), program());
    ASSERT_TRUE(spawner_->spawn(worker, words));
  }
  Life run(std::vector<std::string> words) {
    spawn(++last_, std::move(words));
    return wait_for_exit(*spawner_, last_);
  }
  /// Starts a program that waits; its child.
  int start_waiting(std::uint64_t worker, int& pid) {
    spawn(worker, {"wait"});
    pid = first_pid(*spawner_);
    std::string output;
    while (!output.ends_with('\n')) {
      const auto event = spawner_->wait_event();
      if (!event) return 0;
      if (const auto* piece = std::get_if<ProcessOutput>(&*event)) output += piece->bytes;
    }
    return std::stoi(output);
  }
  struct Straying {
    int keeper = 0;
    int program = 0;
    int stray = 0;  ///< has left its group and session
  };
  Straying start_straying(std::uint64_t worker) {
    const std::vector<std::string> words{"sh", "-c", "setsid sleep 1000 & echo $PPID $$ $!; wait"};
    if (!spawner_->spawn_command(worker, words, "/", {})) return {};
    std::string output;
    while (!output.ends_with('\n')) {
      const auto event = spawner_->wait_event();
      if (!event) return {};
      if (const auto* piece = std::get_if<ProcessOutput>(&*event)) output += piece->bytes;
    }
    Straying pids;
    std::istringstream(output) >> pids.keeper >> pids.program >> pids.stray;
    return pids;
  }
  /// Returns when the server has the order, which is that of worker 2.
  void stop_server_and_order(int spawner, std::vector<std::string> words) {
    const int server = server_of(spawner);
    ASSERT_GT(server, 0);
    kill(server, SIGSTOP);
    spawn(2, std::move(words));
    ASSERT_TRUE(spawner_->spawn_command(3, {"true"}, "/", {}));
    wait_for_exit(*spawner_, 3);  // packets are served in turn
  }
  /// 0: there is none.
  static int server_of(int spawner) {
    for (const int child : children_of(spawner)) {
      if (command_line(child) == program() + " " + kForkServerOption) return child;
    }
    return 0;
  }

  std::unique_ptr<Spawner> spawner_;
  std::uint64_t last_ = 100;
};

TEST_F(ForkServer, StartsWhatASpawnerWouldHaveStarted) {
  const auto forked = run({"report"}).output;
  ASSERT_TRUE(forked.starts_with("forked\n")) << forked;
  auto plain = Spawner::start();
  ASSERT_TRUE(plain);
  ASSERT_TRUE((*plain)->spawn(1, {program(), "report"}));
  const auto executed = wait_for_exit(**plain, 1).output;
  EXPECT_EQ(forked.substr(forked.find('\n')), executed.substr(executed.find('\n')));
}

TEST_F(ForkServer, MakesChildrenOfTheSpawnerThatShowTheirArguments) {
  int pid = 0;
  const int child = start_waiting(1, pid);
  ASSERT_GT(child, 0);
  EXPECT_EQ(command_line(pid), program() + " wait");
  std::ifstream name("/proc/" + std::to_string(pid) + "/comm");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(name), {}), "forked_program\n");
  EXPECT_TRUE(children_of(parent_of(pid)).contains(pid));
  const int server = server_of(parent_of(pid));
  ASSERT_GT(server, 0);
  EXPECT_TRUE(children_of(server).empty());
  spawner_->kill(1);
  const auto life = wait_for_exit(*spawner_, 1);
  ASSERT_TRUE(WIFSIGNALED(life.status));
  EXPECT_EQ(WTERMSIG(life.status), SIGKILL);
  EXPECT_TRUE(ends_soon(child)) << "the whole group is killed";
}

TEST_F(ForkServer, HasEndsReportedAsTheyWere) {
  for (const int code : {0, 1, 77}) {
    const auto life = run({"exit", std::to_string(code)});
    ASSERT_TRUE(WIFEXITED(life.status));
    EXPECT_EQ(WEXITSTATUS(life.status), code);
    EXPECT_GT(life.pid, 0);
  }
  for (const int number : {SIGABRT, SIGTERM, SIGKILL}) {
    const auto life = run({"signal", std::to_string(number)});
    ASSERT_TRUE(WIFSIGNALED(life.status));
    EXPECT_EQ(WTERMSIG(life.status), number);
  }
}

TEST_F(ForkServer, StartsManyThatAreOrderedAtOnce) {
  constexpr std::uint64_t kMany = 200;
  for (std::uint64_t worker = 1; worker <= kMany; ++worker) spawn(worker, {"exit", "5"});
  std::set<int> pids;
  std::set<std::uint64_t> ended;
  while (ended.size() < kMany) {
    const auto event = spawner_->wait_event();
    ASSERT_TRUE(event);
    if (const auto* started = std::get_if<ProcessStarted>(&*event)) pids.insert(started->pid);
    if (const auto* exited = std::get_if<ProcessExited>(&*event)) {
      EXPECT_EQ(WEXITSTATUS(exited->status), 5);
      EXPECT_TRUE(ended.insert(exited->worker).second);
    }
  }
  EXPECT_EQ(pids.size(), kMany);
}

TEST_F(ForkServer, IsReplacedWhenItIsKilledAndItsProcessesGoOn) {
  int pid = 0;
  const int child = start_waiting(1, pid);
  const int spawner = parent_of(pid);
  for (int round = 0; round < 2 * Watch::kMostFailures; ++round) {
    const int server = server_of(spawner);
    ASSERT_GT(server, 0);
    kill(server, SIGKILL);
    ASSERT_TRUE(ends_soon(server));
    ASSERT_TRUE(holds_soon([&] { return !children_of(spawner).contains(server); })) << "it is waited for";
    EXPECT_TRUE(run({"report"}).output.starts_with("forked\n"));
  }
  EXPECT_TRUE(is_running(pid) && is_running(child));
}

TEST_F(ForkServer, LeavesNothingWhenTheSpawnerIsKilled) {
  int pid = 0;
  const int child = start_waiting(1, pid);
  const int spawner = parent_of(pid), server = server_of(spawner);
  kill(spawner, SIGKILL);
  EXPECT_TRUE(ends_soon(pid));
  EXPECT_TRUE(ends_soon(server));
  kill(child, SIGKILL);  // as before: nobody looks after what such a process starts
}

TEST_F(ForkServer, IsDoneWithoutWhenItStandsStill) {
  ASSERT_TRUE(run({"report"}).output.starts_with("forked\n"));
  int pid = 0;
  start_waiting(1, pid);
  const int server = server_of(parent_of(pid));
  kill(server, SIGSTOP);
  const auto life = run({"report"});
  EXPECT_TRUE(life.output.starts_with("executed\n")) << life.output;
  EXPECT_TRUE(ends_soon(server));
}

TEST_F(ForkServer, HasItsForksSparedWhenACommandsStraysAreKilled) {
  const auto command = start_straying(1);
  ASSERT_GT(command.stray, 0);
  const int spawner = parent_of(command.keeper);
  ASSERT_TRUE(run({"report"}).output.starts_with("forked\n"));
  stop_server_and_order(spawner, {"report"});
  kill(spawner, SIGSTOP);
  const auto before = children_of(spawner);
  kill(server_of(spawner), SIGCONT);
  const bool is_adopted = holds_soon([&] { return children_of(spawner).size() > before.size(); });
  kill(command.keeper, SIGKILL);
  const bool is_killed = ends_soon(command.keeper);
  kill(spawner, SIGCONT);  // it hears of both at once
  ASSERT_TRUE(is_adopted && is_killed);
  const auto life = wait_for_exit(*spawner_, 2);
  EXPECT_TRUE(life.output.starts_with("forked\n")) << life.output;
  EXPECT_TRUE(ends_soon(command.stray));
}

TEST_F(ForkServer, PutsStraysOffForNoOrderThatIsCancelled) {
  const auto command = start_straying(1);
  ASSERT_GT(command.stray, 0);
  ASSERT_TRUE(run({"report"}).output.starts_with("forked\n"));
  const int spawner = parent_of(command.keeper);
  stop_server_and_order(spawner, {"wait"});
  kill(command.keeper, SIGKILL);
  wait_for_exit(*spawner_, 1);
  ASSERT_TRUE(ends_soon(command.program));
  ASSERT_TRUE(holds_soon([&] { return !children_of(spawner).contains(command.program); })) << "reaped";
  spawner_->kill(2);  // and nothing else happens now
  EXPECT_TRUE(ends_soon(command.stray));
}

TEST_F(ForkServer, PutsStraysOffNoLongerThanAnOrderThatIsLate) {
  const auto command = start_straying(1);
  ASSERT_GT(command.stray, 0);
  ASSERT_TRUE(run({"report"}).output.starts_with("forked\n"));
  stop_server_and_order(parent_of(command.keeper), {"report"});
  kill(command.keeper, SIGKILL);
  wait_for_exit(*spawner_, 1);
  EXPECT_TRUE(wait_for_exit(*spawner_, 2).output.starts_with("executed\n"));
  EXPECT_TRUE(ends_soon(command.stray));
}

TEST_F(ForkServer, ShowsArgumentsOnlyAsFarAsThereIsRoom) {
  spawn(1, {"wait", std::string(2 * kShownArguments, 'x')});
  const int pid = first_pid(*spawner_);
  ASSERT_GT(pid, 0);
  const auto all = program() + " wait " + std::string(2 * kShownArguments, 'x');
  ASSERT_TRUE(holds_soon([&] { return command_line(pid).starts_with(program() + " wait x"); }));
  const auto shown = command_line(pid);
  EXPECT_TRUE(all.starts_with(shown)) << shown << ": nothing else follows";
  EXPECT_GE(shown.size(), kShownArguments);
}

TEST_F(ForkServer, StartsNothingThatWasKilledBefore) {
  int pid = 0;
  start_waiting(1, pid);
  const int spawner = parent_of(pid), server = server_of(spawner);
  kill(server, SIGSTOP);
  spawn(2, {"wait"});
  spawner_->kill(2);
  const auto life = wait_for_exit(*spawner_, 2);
  EXPECT_EQ(life.pid, 0);
  ASSERT_TRUE(WIFSIGNALED(life.status));
  EXPECT_EQ(WTERMSIG(life.status), SIGKILL);
  kill(server, SIGCONT);
  EXPECT_TRUE(run({"report"}).output.starts_with("forked\n")) << "in its turn, by the same";
  EXPECT_TRUE(holds_soon([&] { return children_of(spawner) == std::set{pid, server}; }));
}

TEST_F(ForkServer, IsDoneWithoutWhenItEndsAtOnce) {
  setenv("DS_FORK_SERVER", "ends", 1);
  start();
  for (int round = 0; round < Watch::kMostFailures + 2; ++round)
    EXPECT_TRUE(run({"report"}).output.starts_with("executed\n"));
}

TEST_F(ForkServer, IsDoneWithoutWhenItHasThreadsOrOpenFiles) {
  for (const auto* what : {"threads", "files"}) {
    setenv("DS_FORK_SERVER", what, 1);
    start();
    for (int round = 0; round < 2; ++round) EXPECT_TRUE(run({"report"}).output.starts_with("executed\n"));
  }
}

TEST_F(ForkServer, StartsAheadWhenItIsToldTo) {
  spawner_->prepare();
  int pid = 0;
  ASSERT_TRUE(spawner_->spawn(1, {"/bin/sleep", "1000"}));  // not a program of the server's
  pid = first_pid(*spawner_);
  EXPECT_TRUE(holds_soon([&] { return server_of(parent_of(pid)) > 0; }));
  EXPECT_TRUE(run({"report"}).output.starts_with("forked\n"));
}

}  // namespace
}  // namespace ds::node
