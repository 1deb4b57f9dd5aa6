#include "clients/audit.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "clients/failure.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::clients {
namespace {

constexpr const char* kHead = "ds-audit 1 job=j1 worker=1 samples=4 steps_per_epoch=2 logical_ranks=1\n";

class Audits : public testing::Test {
 protected:
  Audit read(const std::string& lines, const std::string& others = "") const {
    std::ofstream(temporary_.path() / "worker-1.log") << kHead << lines;
    std::ofstream(temporary_.path() / "worker-2.log") << kHead << others;
    return read_audit(temporary_.path());
  }

  const TemporaryFolder temporary_;
};

TEST_F(Audits, AreGoodWhenEachSampleWasTakenOnceAnEpoch) {
  const Audit audit = read(
      "took 1 1 1 0 3,0\ndone 1 1\ntook 1 2 1 0 1-2\ndone 1 2\n"
      "took 1 3 2 0 0,2\ndone 1 3\n");
  EXPECT_TRUE(audit.is_good());
  EXPECT_EQ(format_audit(audit, false),
            "EPOCH  STEPS  ONCE  MISSING  TWICE\n"
            "    1  1-2       4        0      0\n"
            "    2  3-3       2        2      0  not over yet\n"
            "3 committed steps took every sample once an epoch\n");
}

TEST_F(Audits, CountWhatWasTakenTwiceAndWhatWasMissed) {
  const Audit audit = read("took 1 1 1 0 3,0\ndone 1 1\ntook 1 2 1 0 0-1\ndone 1 2\n");
  EXPECT_FALSE(audit.is_good());
  EXPECT_EQ(audit.epochs.at(1).twice, 1U);
  EXPECT_EQ(audit.epochs.at(1).missing, 1U);
}

TEST_F(Audits, TellRecordsOfOneStepThatDiffer) {
  const Audit audit =
      read("took 1 1 1 0 3,0\ndone 1 1\ntook 1 2 1 0 1-2\ndone 1 2\n", "took 2 2 1 0 2,1\ndone 2 2\n");
  EXPECT_FALSE(audit.is_good());
  ASSERT_EQ(audit.faults.size(), 1U);
  EXPECT_EQ(audit.faults[0],
            "worker-2.log:2: logical rank 0 took other samples in step 2 than another record says");
}

TEST_F(Audits, TellACommittedStepWithoutARecordOfItsShares) {
  const Audit audit = read("took 1 1 1 0 3,0\ndone 1 1\ntook 1 3 2 0 1\ndone 1 3\n");
  EXPECT_FALSE(audit.is_good());
  ASSERT_EQ(audit.faults.size(), 1U);
  EXPECT_EQ(audit.faults[0], "no record of what logical rank 0 took in step 2");
}

// Parameter servers commit a step whose workers all hear that it failed; the next generation goes on behind.
TEST_F(Audits, KnowAStepThatNobodySaysIsDoneByALaterOne) {
  const Audit audit = read("took 1 1 1 0 3,0\ntook 1 2 1 0 1-2\n", "took 2 3 2 0 0\ndone 2 3\n");
  EXPECT_TRUE(audit.is_good()) << format_audit(audit, false);
  EXPECT_EQ(audit.steps, 3U);
  EXPECT_TRUE(audit.epochs.at(1).whole);
  EXPECT_EQ(audit.epochs.at(1).once, 4U);
  EXPECT_FALSE(read("took 1 1 1 0 3,0\ntook 1 2 1 0 0-1\n", "took 2 3 2 0 0\ndone 2 3\n").is_good());
}

TEST_F(Audits, TakeNoAccountOfWhatNobodyCommittedAndOfALineThatWasCutOff) {
  const Audit audit = read("took 1 1 1 0 3,0\ndone 1 1\ntook 1 2 1 0 1-2\ndone 1 ", "took 1 1 1 0 3");
  EXPECT_TRUE(audit.is_good()) << format_audit(audit, false);
  EXPECT_EQ(audit.steps, 1U);
}

TEST_F(Audits, TellLinesThatAreNoRecords) {
  EXPECT_EQ(read("spam\n").faults.at(0), "worker-1.log:2: not a line of a record");
  EXPECT_EQ(read("took 1 1 1 0 2-4\ndone 1 1\n").faults.at(0), "worker-1.log:2: no samples: 2-4");
  EXPECT_EQ(read("took 1 1 2 0 2\ndone 1 1\n").faults.at(0), "worker-1.log:2: not a record of step 1");
  EXPECT_EQ(read("took 1 1 1 9 2\n").faults.at(0), "worker-1.log:2: not a record of step 1");
  for (const char* line :
       {"took 1 1 1 0", "took x 1 1 0 2", "took 1 1x 1 0 2", "took 1 0 1 0 2", "took 1 1 1 -1 2",
        "took 1 1 1 0 2 3", "done 1", "done 1 0", "done 1 1 1", "done 1 1e3", "done 1 18446744073709551616",
        "ds-audit 1", "ds-audit 2 job=j1 worker=1 samples=4 steps_per_epoch=2 logical_ranks=1"})
    EXPECT_EQ(read(std::string(line) + "\n").faults.at(0), "worker-1.log:2: not a line of a record") << line;
}

TEST_F(Audits, BelieveNoWorkerThatAStepIsDoneOfWhichItTookNothing) {
  const Audit audit = read("took 1 1 1 0 3,0\ndone 1 1\ndone 1 18446744073709551615\n");
  EXPECT_EQ(audit.steps, 1U);
  EXPECT_EQ(audit.faults.at(0),
            "worker-1.log:4: step 18446744073709551615 is done without a share of it before");
}

TEST_F(Audits, EndSoonWhateverNumbersAreDamaged) {
  const auto begin = std::chrono::steady_clock::now();
  const Audit far = read(
      "took 1 1 1 0 3,0\ndone 1 1\ntook 1 18446744073709551615 9223372036854775808 0 0\n"
      "done 1 18446744073709551615\n");
  EXPECT_FALSE(far.is_good());
  EXPECT_EQ(far.faults.size(), 100U);
  EXPECT_LE(far.epochs.size(), 100U);
  std::ofstream(temporary_.path() / "worker-0.log")
      << "ds-audit 1 job=j1 worker=0 samples=68719476736 steps_per_epoch=2 logical_ranks=1\n";
  EXPECT_EQ(read("").faults.at(0), "worker-0.log:1: not a line of a record");
  std::ofstream(temporary_.path() / "worker-0.log") << std::string(80 << 20, '1') << '\n';
  EXPECT_EQ(read("").faults.at(0), "worker-0.log:1: not a line of a record");
  std::filesystem::remove(temporary_.path() / "worker-0.log");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST_F(Audits, CountEveryEpochOfJobsWhoseFilesGoBackAndForth) {
  std::string first, second;
  for (int step = 1; step <= 40; ++step) {
    const auto took = "took 1 " + std::to_string(step) + " " + std::to_string((step + 1) / 2) + " 0 " +
                      (step % 2 == 1 ? "3,0\n" : "1-2\n");
    (step % 7 < 4 ? first : second) += took + "done 1 " + std::to_string(step) + "\n";
    if (step % 9 == 0) second += "took 2 3 2 0 3,0\ndone 2 3\n";  // once more, from a checkpoint
  }
  const Audit audit = read(first, second);
  EXPECT_TRUE(audit.is_good()) << format_audit(audit, false);
  ASSERT_EQ(audit.epochs.size(), 20U);
  for (const auto& [number, epoch] : audit.epochs) EXPECT_EQ(epoch.once, 4U) << number;
}

TEST_F(Audits, RefuseAFolderWithoutRecordsOrWithThoseOfTwoJobs) {
  EXPECT_THROW(read_audit(temporary_.path()), Failure);
  EXPECT_THROW(read_audit(temporary_.path() / "none"), Failure);
  for (const char* other : {"job=j2 worker=1 samples=4 steps_per_epoch=2 logical_ranks=1",
                            "job=j1 worker=1 samples=5 steps_per_epoch=2 logical_ranks=1",
                            "job=j1 worker=1 samples=4 steps_per_epoch=3 logical_ranks=1",
                            "job=j1 worker=1 samples=4 steps_per_epoch=2 logical_ranks=2"})
    EXPECT_THROW(read(std::string("ds-audit 1 ") + other + "\n"), Failure) << other;
}

}  // namespace
}  // namespace ds::clients
