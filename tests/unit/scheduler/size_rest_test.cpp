// Training jobs that would change their size to and fro keep it for longer and longer.
#include "scheduler/policy/size_rest.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace ds::scheduler {
namespace {

constexpr std::int64_t kStart_ms = 1'800'000'000'000;

TEST(SizeRest, IsTwiceAsLongAtEachReversal) {
  SizeRest rest;
  EXPECT_FALSE(rest.is_resting(kStart_ms));
  std::int64_t now_ms = kStart_ms;
  std::uint32_t from = 4, to = 1;
  for (std::int64_t length_ms = 30'000; length_ms < 1'000'000; length_ms *= 2, std::swap(from, to)) {
    rest.on_changed(from, to, now_ms);
    EXPECT_EQ(rest.allowed({1, 8}, to, now_ms).max, to);
    EXPECT_TRUE(rest.is_resting(now_ms + length_ms - 1));
    EXPECT_FALSE(rest.is_resting(now_ms + length_ms));
    now_ms += length_ms;
  }
}

TEST(SizeRest, IsAnHourAtMostHoweverOftenItGoesOn) {
  SizeRest rest;
  std::int64_t now_ms = kStart_ms;
  int changes = 0;
  for (bool grows = false; now_ms < kStart_ms + 1000 * SizeRest::kLongest_ms; grows = !grows, ++changes) {
    rest.on_changed(grows ? 1 : 2, grows ? 2 : 1, now_ms);
    EXPECT_LE(rest.until_ms(), now_ms + SizeRest::kLongest_ms);
    now_ms = rest.until_ms();
  }
  EXPECT_LT(changes, 1010);
  EXPECT_GT(changes, 990);
}

TEST(SizeRest, IsNotForChangesThatGoTheSameWay) {
  SizeRest rest;
  rest.on_changed(1, 4, kStart_ms);
  rest.on_changed(2, 4, kStart_ms + 1000);
  EXPECT_FALSE(rest.is_resting(kStart_ms + 1000)) << "others took workers in between: it is no reversal";
}

TEST(SizeRest, IsNotForWorkersThatOthersTookInBetween) {
  SizeRest rest;
  rest.on_changed(4, 2, kStart_ms);
  rest.on_changed(1, 2, kStart_ms + 40'000);
  EXPECT_FALSE(rest.is_resting(kStart_ms + 40'000));
  rest.on_changed(2, 3, kStart_ms + 50'000);
  EXPECT_TRUE(rest.is_resting(kStart_ms + 109'999));
}

TEST(SizeRest, AllowsNoMoreThanItHadOrHas) {
  SizeRest rest;
  rest.on_changed(4, 2, kStart_ms);
  const auto most = [&](std::uint32_t workers, std::int64_t now_ms) {
    return rest.allowed({1, 8}, workers, now_ms).max;
  };
  EXPECT_EQ(most(1, kStart_ms), 2U) << "who waited has taken one: it may have that again";
  EXPECT_EQ(most(3, kStart_ms), 3U);
  EXPECT_EQ(rest.allowed({4, 8}, 2, kStart_ms).max, 4U) << "its minimum in any case";
  EXPECT_EQ(most(2, rest.until_ms()), 8U);
}

TEST(SizeRest, IsShortAgainAfterALongCalm) {
  SizeRest rest;
  for (int i = 0; i < 6; ++i) rest.on_changed(i % 2 == 0 ? 2 : 1, i % 2 == 0 ? 1 : 2, kStart_ms);
  const std::int64_t later_ms = rest.until_ms() + SizeRest::kLongest_ms + 1;
  rest.on_changed(2, 1, later_ms);
  EXPECT_EQ(rest.until_ms(), later_ms + SizeRest::kFirst_ms);
}

}  // namespace
}  // namespace ds::scheduler
