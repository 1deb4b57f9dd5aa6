#include "actors/serving/service_fit.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <random>

namespace ds::serving {
namespace {

void teach(ServiceFit& fit, const std::function<double(std::uint32_t)>& service, std::uint32_t largest,
           int batches, std::uint32_t seed, double noise = 0.08) {
  std::mt19937 random(seed);
  std::normal_distribution<double> around(0, noise);
  for (int i = 0; i < batches; ++i) {
    const auto rows = static_cast<std::uint32_t>(1 + random() % largest);
    fit.observe(rows, static_cast<std::int64_t>(service(rows) * std::exp(around(random))));
  }
}

TEST(ServiceFit, FindsTheFixedCostAndTheCostOfARow) {
  ServiceFit fit;
  teach(
      fit, [](std::uint32_t n) { return 5000 + 200.0 * n; }, 32, 400, 1);
  EXPECT_NEAR(fit.fixed_us(), 5000, 500);
  EXPECT_NEAR(fit.per_row_us(), 200, 30);
  EXPECT_NEAR(fit.expect_us(16), 8200, 500);
  EXPECT_EQ(fit.largest_seen(), 32U);
}

TEST(ServiceFit, FollowsAModelThatPadsToPowersOfTwo) {
  const auto service = [](std::uint32_t n) { return 2000 + 250.0 * std::bit_ceil(n); };
  ServiceFit fit;
  teach(fit, service, 32, 1000, 2, 0.03);
  for (const std::uint32_t rows : {1U, 2U, 4U, 5U, 8U, 9U, 16U, 17U, 32U})
    EXPECT_NEAR(fit.expect_us(rows) / service(rows), 1, 0.1) << rows;
  EXPECT_EQ(fit.largest_within(5000, 32), 8U);
}

TEST(ServiceFit, ForgetsOneSlowBatchAndLearnsAnotherSpeedOfTheMachine) {
  ServiceFit fit;
  for (int i = 0; i < 100; ++i) fit.observe(1 + i % 8, 1000 + 100 * (1 + i % 8));
  fit.observe(4, 1'000'000);
  EXPECT_LT(fit.expect_us(4), 1400 * 1.3);
  for (const int slower : {10, 1}) {
    for (int i = 0; i < 20; ++i) fit.observe(1 + i % 8, slower * (1000 + 100 * (1 + i % 8)));
    EXPECT_NEAR(fit.expect_us(4), slower * 1400, slower * 150);
  }
}

TEST(ServiceFit, KeepsItsSlopeWhileAllBatchesAreOfOneSize) {
  ServiceFit fit;
  teach(
      fit, [](std::uint32_t n) { return 5000 + 200.0 * n; }, 32, 400, 3);
  for (int i = 0; i < 2000; ++i) fit.observe(1, 5200);
  EXPECT_NEAR(fit.expect_us(1), 5200, 100);
  EXPECT_NEAR(fit.expect_us(32), 11'400, 2'000);
}

TEST(ServiceFit, IsNeverNegativeWhateverItIsTold) {
  std::mt19937 random(4);
  for (int run = 0; run < 100; ++run) {
    ServiceFit fit;
    for (int i = 0; i < 50; ++i)
      fit.observe(random() % 2'000, static_cast<std::int64_t>(random() % 1'000'000) - 1'000);
    EXPECT_GE(fit.fixed_us(), 0);
    EXPECT_GE(fit.per_row_us(), 0);
    for (const std::uint32_t rows : {0U, 1U, 7U, 128U, 129U, 4'000'000'000U}) {
      EXPECT_GE(fit.expect_us(rows), 0);
      EXPECT_TRUE(std::isfinite(fit.upper_us(rows)));
      EXPECT_GE(fit.upper_us(rows), fit.expect_us(rows));
    }
  }
}

}  // namespace
}  // namespace ds::serving
