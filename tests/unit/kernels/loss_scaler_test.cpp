#include "kernels/loss_scaler.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace ds::kernels {
namespace {

/// Steps, and what they leave: `n` clean ones in a row, or an overflow where it is 0.
struct Sequence {
  std::vector<std::uint32_t> runs;
  LossScaler expected;
};

TEST(LossScaler, DecidesAsGradScalerDoes) {
  const std::vector<Sequence> sequences{
      {{}, {65536, 0, 0}},        {{1999}, {65536, 1999, 0}},    {{2000}, {131072, 0, 0}},
      {{2001}, {131072, 1, 0}},   {{4000}, {262144, 0, 0}},      {{0}, {32768, 0, 1}},
      {{1999, 0}, {32768, 0, 1}}, {{1999, 0, 1}, {32768, 1, 1}}, {{1999, 0, 2000}, {65536, 0, 1}},
      {{2000, 0}, {65536, 0, 1}}, {{0, 0, 0, 5}, {8192, 5, 3}},  {{1000, 0, 1999, 0, 2000, 0}, {16384, 0, 3}},
  };
  for (const Sequence& sequence : sequences) {
    LossScaler scaler;
    for (const std::uint32_t run : sequence.runs) {
      if (run == 0) {
        EXPECT_FALSE(scaler.update(true)) << "the step is skipped";
      }
      for (std::uint32_t i = 0; i < run; ++i) EXPECT_TRUE(scaler.update(false));
    }
    EXPECT_EQ(scaler, sequence.expected) << "after " << testing::PrintToString(sequence.runs);
  }
}

TEST(LossScaler, NeverGrowsToInfinity) {
  LossScaler scaler;
  for (int i = 0; i < 200 * 2000; ++i) scaler.update(false);
  EXPECT_EQ(scaler.scale, 0x1p127F);
}

TEST(LossScaler, InvertsItsScaleExactly) {
  LossScaler scaler;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(scaler.scale * scaler.inverse(), 1);
    scaler.update(true);
  }
  EXPECT_EQ(scaler.skipped, 100U);
}

TEST(LossScaler, GoesOnFromACheckpointAsIfNothingHadHappened) {
  LossScaler one;
  for (int i = 0; i < 1500; ++i) one.update(i == 700);
  LossScaler other = one;
  for (int i = 0; i < 3000; ++i) EXPECT_EQ(one.update(i == 2500), other.update(i == 2500));
  EXPECT_EQ(one, other);
}

}  // namespace
}  // namespace ds::kernels
