#include "scheduler/policy/spare_starts.hpp"

#include <gtest/gtest.h>

namespace ds::scheduler {
namespace {

TEST(SpareStarts, ReplaceOneThatWasReadyAtOnce) {
  SpareStarts starts;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(starts.on_ended(true, i % 2 == 0, i), 0);
  EXPECT_TRUE(starts.may_start(0));
}

TEST(SpareStarts, WaitLongerEachTimeOneEndsBeforeItIsReady) {
  SpareStarts starts;
  std::int64_t now = 5'000, expected = 1'000;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(starts.on_ended(false, false, now), expected);
    EXPECT_FALSE(starts.may_start(now + expected - 1));
    EXPECT_TRUE(starts.may_start(now + expected));
    now += expected;
    expected = std::min<std::int64_t>(300'000, expected * 2);
  }
  EXPECT_EQ(starts.on_ended(true, false, now), 0);
  EXPECT_TRUE(starts.may_start(now)) << "one that worked shows that they can";
  EXPECT_EQ(starts.on_ended(false, false, now), 1'000);
}

TEST(SpareStarts, LetSomebodyOutsideEndOnlySoManyInARowForNothing) {
  SpareStarts starts;
  for (std::uint32_t i = 0; i < SpareStarts::kFree; ++i) EXPECT_EQ(starts.on_ended(false, true, 0), 0);
  EXPECT_EQ(starts.on_ended(false, true, 0), 1'000);
  EXPECT_EQ(starts.on_ended(false, true, 1'000), 2'000);
  starts.on_ended(true, true, 0);
  EXPECT_EQ(starts.on_ended(false, true, 0), 0);
}

}  // namespace
}  // namespace ds::scheduler
