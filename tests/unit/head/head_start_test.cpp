#include "actors/head/head_start.hpp"

#include <gtest/gtest.h>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::head {
namespace {

using namespace scheduler;
using scheduler::testing::event;
using scheduler::testing::submitted;

TEST(HeadStart, IsToldWithItsNumberAndForHowLongNobodyDecided) {
  Ledger ledger;
  EXPECT_EQ(describe_start(ledger, 9000), "start 1 that this journal tells of");
  ASSERT_TRUE(ledger.apply(event(HeadStarted{"1"}, 10'000)));
  EXPECT_EQ(describe_start(ledger, 10'000),
            "start 2 that this journal tells of, 0.0 s after the last record; 0 jobs have not ended");
  ASSERT_TRUE(ledger.apply(event(submitted("a"), 12'000)));
  EXPECT_EQ(describe_start(ledger, 16'200),
            "start 2 that this journal tells of, 4.2 s after the last record; 1 job has not ended");
  EXPECT_EQ(describe_start(ledger, 11'999), "start 2 that this journal tells of, 1 job has not ended")
      << "the clock was set back";
}

TEST(HeadStart, HasNoNumberWithAJournalOfAVersionThatCountedNone) {
  Ledger ledger;
  ASSERT_TRUE(ledger.apply(event(submitted("a"), 12'000)));
  EXPECT_EQ(describe_start(ledger, 16'200), "4.2 s after the last record; 1 job has not ended");
  EXPECT_EQ(describe_start(ledger, 11'000), "1 job has not ended");
}

}  // namespace
}  // namespace ds::head
