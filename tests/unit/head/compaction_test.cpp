#include "actors/head/compaction.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ds::head {
namespace {

scheduler::Event submission(const std::string& job) {
  return {1, "user", "", scheduler::JobSubmitted{job, "", "job.yaml", "/", "kind: command\nrun: x\n"}};
}

class CompactionTest : public ::testing::Test {
 protected:
  CompactionTest() {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(ledger_.apply(submission("job-" + std::to_string(i))));
  }
  scheduler::Ledger ledger_;
};

TEST_F(CompactionTest, IsDueWhenAsMuchHasComeAsTheLastSnapshotHasAndSoMuchAtLeast) {
  Compaction small(1'000, 100, 10), large(1'000, 100, 5'000);
  EXPECT_FALSE(small.is_due(999));
  EXPECT_TRUE(small.is_due(1'000));
  EXPECT_FALSE(large.is_due(4'999));
  EXPECT_TRUE(large.is_due(5'000));
}

TEST_F(CompactionTest, GivesOnePieceAfterAnotherOfWhatTheLedgerWas) {
  Compaction compaction(1'000, 500, 700);
  const auto before = ledger_.snapshot();
  auto piece = compaction.begin(ledger_, 2'000);
  EXPECT_TRUE(piece.is_first);
  EXPECT_EQ(piece.expected_bytes, 2'700U);
  EXPECT_FALSE(compaction.is_due(1'000'000)) << "one at a time";
  std::vector<std::string> texts{piece.text};
  while (!piece.is_last) {
    const auto next = submission("new-" + std::to_string(texts.size()));
    compaction.before(next);
    ASSERT_TRUE(ledger_.apply(next));
    piece = compaction.next().value();
    EXPECT_FALSE(piece.is_first);
    texts.push_back(piece.text);
  }
  EXPECT_GT(texts.size(), 5U);
  EXPECT_EQ(compaction.next(), std::nullopt) << "that was the end";
  const auto restored = scheduler::Ledger::restore(texts);
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->snapshot(), before);
  EXPECT_FALSE(compaction.is_due(before.size() - 1)) << "as large as that one";
  EXPECT_TRUE(compaction.is_due(before.size()));
}

TEST_F(CompactionTest, IsTriedAgainWhenAsMuchAgainHasComeOnceItCouldNotBeWritten) {
  Compaction compaction(1'000, 100, 200'000);
  (void)compaction.begin(ledger_, 250'000);
  compaction.give_up(250'000);
  EXPECT_FALSE(compaction.is_due(449'999))
      << "as much as the last one has, though only a part of one was made";
  EXPECT_TRUE(compaction.is_due(450'000));
  const auto again = compaction.begin(ledger_, 450'000);
  EXPECT_TRUE(again.is_first) << "all of it";
  EXPECT_EQ(again.expected_bytes, 650'000U);
}

}  // namespace
}  // namespace ds::head
