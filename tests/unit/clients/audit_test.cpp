#include "clients/audit.hpp"

#include <gtest/gtest.h>

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
  const Audit audit = read("took 1 1 1 0 3,0\ndone 1 1\ndone 1 3\n");
  ASSERT_EQ(audit.faults.size(), 2U);
  EXPECT_EQ(audit.faults[0], "no worker recorded that step 2 was done");
  EXPECT_EQ(audit.faults[1], "no record of what logical rank 0 took in step 3");
}

TEST_F(Audits, TakeNoAccountOfWhatNobodyCommittedAndOfALineThatWasCutOff) {
  const Audit audit = read("took 1 1 1 0 3,0\ndone 1 1\ntook 1 2 1 0 1-2\ndone 1 ", "took 1 1 1 0 3");
  EXPECT_TRUE(audit.is_good()) << format_audit(audit, false);
  EXPECT_EQ(audit.steps, 1U);
}

TEST_F(Audits, TellLinesThatAreNoRecords) {
  EXPECT_EQ(read("spam\n").faults.at(0), "worker-1.log:2: not a line of a record");
  EXPECT_EQ(read("done 1 1\ntook 1 1 1 0 2-4\n").faults.at(0), "worker-1.log:3: no samples: 2-4");
  EXPECT_EQ(read("done 1 1\ntook 1 1 2 0 2\n").faults.at(0), "worker-1.log:3: not a record of step 1");
}

TEST_F(Audits, RefuseAFolderWithoutRecordsOrWithThoseOfTwoJobs) {
  EXPECT_THROW(read_audit(temporary_.path()), Failure);
  EXPECT_THROW(read_audit(temporary_.path() / "none"), Failure);
  EXPECT_THROW(read("ds-audit 1 job=j2 worker=1 samples=4 steps_per_epoch=2 logical_ranks=1\n"), Failure);
}

}  // namespace
}  // namespace ds::clients
