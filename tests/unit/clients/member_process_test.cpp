#include "clients/member_process.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace ds::clients {
namespace {

namespace fs = std::filesystem;

class MemberProcess : public ::testing::Test {
 protected:
  MemberProcess() {
    std::string pattern = (fs::temp_directory_path() / "ds-member-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~MemberProcess() override { fs::remove_all(folder_); }

  MemberRecord run(const std::string& script) {
    return start_member("/bin/sh", {"-c", script}, folder_ / "log", folder_);
  }

  std::string wait_for_end(const MemberRecord& record) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    std::string end;
    while ((end = describe_end(record)).empty() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    return end;
  }

  std::string log() const {
    std::ifstream in(folder_ / "log");
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  fs::path folder_;
};

TEST_F(MemberProcess, RunsInASessionOfItsOwnWithItsOutputInTheLog) {
  const auto record =
      run("cat; echo out; echo err >&2; pwd; [ \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ ] && echo leads; ls "
          "/proc/$$/fd | wc -l");
  EXPECT_EQ(wait_for_end(record), "status 0");
  const std::string text = log();
  EXPECT_EQ(text.rfind("out\nerr\n" + fs::canonical(folder_).string() + "\nleads\n", 0), 0u) << text;
}

TEST_F(MemberProcess, InheritsNoDescriptorOfOurs) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);  // without close-on-exec, as a shell leaves them
  const auto record = run("while :; do sleep 1; done");
  ::close(ends[1]);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);  // ends only if the child holds no copy of the other side
  ::close(ends[0]);
  ::kill(-record.pid, SIGKILL);
  EXPECT_EQ(wait_for_end(record), "signal 9");
}

TEST_F(MemberProcess, TakesASignalThatWeIgnore) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const auto record = run("kill -PIPE $$; echo survived");
  EXPECT_EQ(wait_for_end(record), "signal 13");
  std::signal(SIGPIPE, before);
  EXPECT_EQ(log(), "");
}

TEST_F(MemberProcess, AppendsToTheLogUntilItIsTooLarge) {
  wait_for_end(run("echo one"));
  wait_for_end(run("echo two"));
  EXPECT_EQ(log(), "one\ntwo\n");
  fs::resize_file(folder_ / "log", (8 << 20) + 1);
  wait_for_end(run("echo three"));
  EXPECT_EQ(log(), "three\n");
}

TEST_F(MemberProcess, NeverSignalsAStrangerWithTheSameNumber) {
  const auto record = run("while :; do sleep 1; done");
  EXPECT_TRUE(is_alive(record));
  const MemberRecord stranger{record.pid, record.start_ticks + 1};
  EXPECT_FALSE(is_alive(stranger));
  signal_member(stranger, SIGKILL);
  EXPECT_TRUE(is_alive(record));
  signal_member(record, SIGTERM);
  EXPECT_EQ(wait_for_end(record), "signal 15");
  EXPECT_FALSE(is_alive(record));
}

TEST_F(MemberProcess, CountsAZombieAsDead) {
  const auto record = run("exit 3");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (is_alive(record) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_FALSE(is_alive(record));
  EXPECT_EQ(wait_for_end(record), "status 3");
}

TEST_F(MemberProcess, ReadsTheLastLinesOfALog) {
  std::ofstream(folder_ / "log") << "one\ntwo\nthree\n";
  EXPECT_EQ(read_last_lines(folder_ / "log", 2), "two\nthree\n");
  EXPECT_EQ(read_last_lines(folder_ / "log", 9), "one\ntwo\nthree\n");
  EXPECT_EQ(read_last_lines(folder_ / "none", 9), "");
  std::ofstream(folder_ / "log") << "one\ntwo";
  EXPECT_EQ(read_last_lines(folder_ / "log", 1), "two");
}

TEST(MemberRecord, SurvivesItsFile) {
  const MemberRecord record{4711, 123456789012345};
  EXPECT_EQ(parse_member_record(format_member_record(record)), record);
  for (const char* bad : {"", "12", "x 1", "12 34 56", "0 5", "1 5", "-3 5"})
    EXPECT_EQ(parse_member_record(bad), std::nullopt) << bad;
}

TEST(ProcessStat, IsReadWhateverTheProcessIsCalled) {
  const auto stat = parse_process_stat(
      "77 (a) b (c)) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 200 18446744073709551615 1 "
      "1");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->start_ticks, 987654u);
  EXPECT_FALSE(parse_process_stat("77 (a) S 1 2"));
  EXPECT_FALSE(parse_process_stat(""));
}

}  // namespace
}  // namespace ds::clients
