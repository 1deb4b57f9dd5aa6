#include "actors/serving/retry_after.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace ds::serving {
namespace {

TEST(RetryAfter, IsWhenTheRequestsBeforeItAreAnswered) {
  EXPECT_EQ(retry_after_ms(100, 10), 10'000U);
  EXPECT_EQ(retry_after_ms(7, 3), 2'334U) << "not sooner";
  EXPECT_EQ(retry_after_ms(30, 0.5), 60'000U);
}

TEST(RetryAfter, IsFromASecondToAMinute) {
  EXPECT_EQ(retry_after_ms(0, 10), 1'000U);
  EXPECT_EQ(retry_after_ms(1, 1e9), 1'000U);
  EXPECT_EQ(retry_after_ms(1'000'000, 1), 60'000U);
  EXPECT_EQ(retry_after_ms(std::numeric_limits<std::uint64_t>::max(), 1e-300), 60'000U);
}

TEST(RetryAfter, IsASecondWhereNobodyKnows) {
  EXPECT_EQ(retry_after_ms(100, 0), 1'000U);
  EXPECT_EQ(retry_after_ms(100, -1), 1'000U);
  EXPECT_EQ(retry_after_ms(100, std::numeric_limits<double>::quiet_NaN()), 1'000U);
}

TEST(RetryAfter, HasWholeSecondsInItsHeader) {
  EXPECT_EQ(retry_after_seconds(0), 1U);
  EXPECT_EQ(retry_after_seconds(1'000), 1U);
  EXPECT_EQ(retry_after_seconds(1'001), 2U);
  EXPECT_EQ(retry_after_seconds(std::numeric_limits<std::uint32_t>::max()), 60U);
}

}  // namespace
}  // namespace ds::serving
