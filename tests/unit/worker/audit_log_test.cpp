#include "actors/worker/audit_log.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "clients/audit.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::worker {
namespace {

class AuditLogs : public testing::Test {
 protected:
  /// Ten samples, two steps an epoch, two logical ranks.
  static train::TakenShare share(std::uint64_t step, std::uint32_t rank, std::vector<std::uint64_t> samples) {
    return {step, (step - 1) / 2, rank, std::move(samples), 10, 2, 2};
  }

  std::unique_ptr<AuditLog> open(std::uint64_t worker) const {
    auto log = AuditLog::open(folder(), "j1", worker, share(1, 0, {}));
    if (!log) throw std::runtime_error(log.error().message);
    return *std::move(log);
  }

  std::string folder() const { return (temporary_.path() / "deep" / "audit-j1").string(); }

  std::string text_of(std::uint64_t worker) const {
    std::ifstream file(folder() + "/worker-" + std::to_string(worker) + ".log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const TemporaryFolder temporary_;
};

TEST_F(AuditLogs, SayWhatWasTakenInItsOrder) {
  const auto log = open(7);
  ASSERT_TRUE(log->took(3, share(1, 1, {4, 5, 6, 2, 9, 8})));
  ASSERT_TRUE(log->took(3, share(3, 0, {})));
  ASSERT_TRUE(log->done(3, 1));
  EXPECT_EQ(text_of(7),
            "ds-audit 1 job=j1 worker=7 samples=10 steps_per_epoch=2 logical_ranks=2\n"
            "took 3 1 1 1 4-6,2,9,8\n"
            "took 3 3 2 0 -\n"
            "done 3 1\n");
}

TEST_F(AuditLogs, KnowWhichStepWasTakenAndHasNoOutcome) {
  const auto log = open(7);
  EXPECT_FALSE(log->is_undecided(1));
  ASSERT_TRUE(log->took(3, share(1, 0, {4})));
  EXPECT_TRUE(log->is_undecided(1));
  ASSERT_TRUE(log->done(3, 1));
  EXPECT_FALSE(log->is_undecided(1));
  ASSERT_TRUE(log->took(3, share(2, 0, {5})));
  EXPECT_FALSE(log->is_undecided(1)) << "not the last one";
  EXPECT_TRUE(log->is_undecided(2));
}

TEST_F(AuditLogs, NameTheFileThatCannotBeWritten) {
  std::ofstream(temporary_.path() / "deep") << "a file";
  const auto log = AuditLog::open(folder(), "j1", 7, share(1, 0, {}));
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("deep/audit-j1/worker-7.log"), std::string::npos) << log.error().message;
}

/// Files of this process can't grow beyond so many bytes, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit full{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &full);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(AuditLogs, HoldNoPartOfALineThatDidNotFitOnTheDisk) {
  const auto log = open(7);
  ASSERT_TRUE(log->took(3, share(1, 0, {4})));
  const std::string before = text_of(7);
  {
    const FullDisk full(before.size() + 5);
    const auto written = log->took(3, share(1, 1, {1, 3, 5, 7, 9}));
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::resource_exhausted);
  }
  EXPECT_EQ(text_of(7), before);
  ASSERT_TRUE(log->took(4, share(1, 1, {1, 3, 5, 7, 9})));
  EXPECT_EQ(text_of(7), before + "took 4 1 1 1 1,3,5,7,9\n");
}

TEST_F(AuditLogs, EndALineThatSomebodyElseLeftUnfinished) {
  { const auto log = open(7); }
  std::ofstream(folder() + "/worker-7.log", std::ios::app) << "took 1 1 ";
  const std::string before = text_of(7);
  const auto log = open(7);
  EXPECT_TRUE(text_of(7).starts_with(before + "\nds-audit 1 job=j1 ")) << text_of(7);
}

TEST_F(AuditLogs, AreReadAsOnePassAnEpochWhoeverDiedMeanwhile) {
  const auto first = open(1), second = open(2);
  // Worker 2 dies after it has given its share of step 1; worker 1 has the step.
  ASSERT_TRUE(first->took(1, share(1, 0, {0, 1, 2})));
  ASSERT_TRUE(second->took(1, share(1, 1, {9, 8})));
  ASSERT_TRUE(first->done(1, 1));
  // It goes on alone, begins step 2, is stopped; its successor does the step again.
  ASSERT_TRUE(first->took(2, share(2, 0, {3, 4, 5})));
  const auto third = open(3);
  ASSERT_TRUE(third->took(3, share(2, 0, {3, 4, 5})));
  ASSERT_TRUE(third->took(3, share(2, 1, {7, 6})));
  ASSERT_TRUE(third->done(3, 2));
  ASSERT_TRUE(third->took(3, share(3, 0, {1, 2})));  // begun only
  const clients::Audit audit = clients::read_audit(folder());
  EXPECT_TRUE(audit.is_good()) << clients::format_audit(audit, false);
  EXPECT_EQ(audit.steps, 2U);
  ASSERT_EQ(audit.epochs.size(), 1U);
  EXPECT_TRUE(audit.epochs.at(1).whole);
  EXPECT_EQ(audit.epochs.at(1).once, 10U);
}

}  // namespace
}  // namespace ds::worker
