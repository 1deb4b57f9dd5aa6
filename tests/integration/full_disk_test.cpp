// The disk of the head becomes full while jobs run: nothing that was acknowledged is lost, whoever asks is
// told what to do, and all goes on when there is room again.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

constexpr std::uint64_t kMi = 1 << 20;

class FullDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    disk_ = cluster_.path() / "head";
    std::filesystem::create_directory(disk_);
    if (::mount("none", disk_.c_str(), "tmpfs", 0, "size=192m,mode=0700") != 0)
      GTEST_SKIP() << "a disk of its own takes rights to mount one: " << std::strerror(errno);
    is_mounted_ = true;
    cluster_.start_head();
    cluster_.start_node("node-1", 2);
    ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  }
  void TearDown() override {
    if (!is_mounted_) return;
    cluster_.head().kill_and_wait();
    ::umount2(disk_.c_str(), MNT_DETACH);
  }

  /// Others take all of the disk but so much.
  void leave(std::uint64_t bytes) {
    struct statvfs disk = {};
    ASSERT_EQ(::statvfs(disk_.c_str(), &disk), 0);
    const auto free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    ASSERT_GT(free, bytes);
    const int file = ::open((disk_ / "others").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    const auto before = ::lseek(file, 0, SEEK_END);
    EXPECT_EQ(::posix_fallocate(file, before, static_cast<off_t>(free - bytes)), 0);
    ::close(file);
  }
  void make_room() { std::filesystem::remove(disk_ / "others"); }

  /// It ends when there is a file of that name.
  std::filesystem::path write_job_until(const std::string& file) const {
    const auto job = cluster_.path() / (file + ".yaml");
    std::ofstream(job) << "version: 1\nkind: command\nname: " << file << "\nrun: \"while [ ! -e "
                       << (cluster_.path() / file).string() << " ]; do sleep 0.1; done\"\n";
    return job;
  }
  void touch(const std::string& file) const { std::ofstream(cluster_.path() / file) << "now\n"; }
  std::string state_of(const std::string& job) const {
    const auto now = cluster_.status(job);
    return now.is_object() ? now.at("state").get<std::string>() : "";
  }

  Cluster cluster_;
  std::filesystem::path disk_;
  bool is_mounted_ = false;
};

TEST_F(FullDisk, RefusesNewJobsThenWaitsAndGoesOnWhenThereIsRoom) {
  const auto first = cluster_.submit_job(write_job_until("first"));
  const auto second = cluster_.submit_job(write_job_until("second"));
  ASSERT_TRUE(cluster_.wait_for_state(first, "RUNNING")) << cluster_.logs();
  ASSERT_TRUE(cluster_.wait_for_state(second, "RUNNING")) << cluster_.logs();
  const int head = cluster_.head().pid();

  // Little is left: nothing new comes, and what there is goes on.
  leave(48 * kMi);
  const auto refused = cluster_.submit({"submit", "-f", write_job_until("third").string()});
  EXPECT_EQ(refused.code, 1) << refused.err;
  EXPECT_NE(refused.err.find("the disk of " + disk_.string()), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("Free some space on that disk"), std::string::npos) << refused.err;
  touch("first");
  EXPECT_TRUE(cluster_.wait_for_state(first, "SUCCEEDED")) << cluster_.logs();

  // Nothing is left: what happens waits, and nobody sees what could be lost.
  leave(4 * kMi);
  touch("second");
  Outcome told;
  EXPECT_TRUE(wait_until([&] {
    told = cluster_.submit({"status", second});
    return told.code == 1;
  })) << cluster_.logs();
  EXPECT_NE(told.err.find("the disk of " + disk_.string()), std::string::npos) << told.err;
  EXPECT_EQ(cluster_.submit({"cancel", second}).code, 1);
  EXPECT_TRUE(is_running(head)) << cluster_.logs();
  make_room();
  EXPECT_TRUE(cluster_.wait_for_state(second, "SUCCEEDED")) << cluster_.logs();
  const auto third = cluster_.submit_job(write_job_until("third"));
  ASSERT_TRUE(cluster_.wait_for_state(third, "RUNNING")) << cluster_.logs();
  EXPECT_TRUE(is_running(head)) << "it was not started again";

  // A head that dies then says what is the matter until there is room, and the next one has everything.
  leave(4 * kMi);
  cluster_.head().kill_and_wait();
  touch("third");
  const auto failed =
      run_program({program("ds-head").string(), "--data-dir", disk_.string(), "--listen", "127.0.0.1:0"});
  EXPECT_GT(failed.code, 0);
  EXPECT_NE(failed.err.find("MiB free"), std::string::npos) << failed.err;
  EXPECT_NE(failed.err.find("Free some space on that disk"), std::string::npos) << failed.err;
  make_room();
  cluster_.start_head();
  EXPECT_TRUE(cluster_.wait_for_state(third, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(state_of(first), "SUCCEEDED");
  EXPECT_EQ(state_of(second), "SUCCEEDED");
}

}  // namespace
}  // namespace ds::tests
