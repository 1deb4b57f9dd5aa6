#include "actors/train/batch_growth.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <optional>
#include <random>

#include "actors/train/boundaries.hpp"
#include "scheduler/policy/elastic/goodput.hpp"

namespace ds::train {
namespace {

constexpr scheduler::BatchSpec kBatch{.global = 32, .accumulate = 1, .max_global = 512};

TEST(BatchGrowth, DoublesOnceAStepWouldStillBeWithinTheNoiseScaleAndHalvesFarBelowIt) {
  EXPECT_EQ(choose_batches(kBatch, 1, 63), 1U);
  EXPECT_EQ(choose_batches(kBatch, 1, 64), 2U);
  EXPECT_EQ(choose_batches(kBatch, 1, 1e9), 2U) << "one doubling at a time";
  EXPECT_EQ(choose_batches(kBatch, 2, 64), 2U);
  EXPECT_EQ(choose_batches(kBatch, 2, 32), 2U);
  EXPECT_EQ(choose_batches(kBatch, 2, 31), 1U);
  EXPECT_EQ(choose_batches(kBatch, 16, 1e9), 16U) << "no more than max_global";
  EXPECT_EQ(choose_batches(kBatch, 16, 1), 8U) << "one halving at a time";
  EXPECT_EQ(choose_batches(kBatch, 1, 1), 1U);
  EXPECT_EQ(choose_batches(kBatch, 4, 0), 2U) << "without noise one batch is enough";
}

TEST(BatchGrowth, TellsNoNoiseFromNothingButNoise) {
  const NoiseSoFar none{.variance = -0.1, .squared_norm = 1, .measurements = kFewestNoises};
  EXPECT_EQ(none.find_scale(), 0);
  const NoiseSoFar all{.variance = 1, .squared_norm = -0.1, .measurements = kFewestNoises};
  EXPECT_EQ(all.find_scale(), std::nullopt);
  EXPECT_EQ(all.scale(), 0);
}

TEST(BatchGrowth, ChangesNothingWhereTheNoiseIsNotKnownOrTheBatchIsFixed) {
  EXPECT_EQ(choose_batches(kBatch, 4, std::nullopt), 4U);
  for (const std::uint32_t max : {0U, 32U}) {
    const scheduler::BatchSpec fixed{.global = 32, .accumulate = 1, .max_global = max};
    EXPECT_EQ(choose_batches(fixed, 1, 1e9), 1U) << max;
  }
}

TEST(BatchGrowth, StaysWithinItsBoundsComesToRestAndDoesNotFlap) {
  std::mt19937 random(3);
  std::lognormal_distribution<double> noises(5, 3);
  for (int round = 0; round < 2000; ++round) {
    scheduler::BatchSpec batch;
    batch.global = 1 + random() % 300;
    batch.max_global = batch.global << random() % 10;
    std::uint32_t now = 1;
    for (int i = 0; i < 30; ++i) {
      const double noise = noises(random);
      const std::uint32_t next = choose_batches(batch, now, noise);
      ASSERT_TRUE(std::has_single_bit(next) && next <= batch.most_batches()) << next;
      ASSERT_TRUE(next == now || next == 2 * now || 2 * next == now) << now << " to " << next;
      // Whatever the noise is, down to half of it, a step that was just made larger stays so.
      if (next > now) {
        ASSERT_GE(choose_batches(batch, next, noise * 0.5), next);
      }
      // And one that was made smaller, up to twice of it.
      if (next < now) {
        ASSERT_LE(choose_batches(batch, next, noise * 1.99), next);
      }
      now = next;
    }
    const double noise = noises(random);
    for (int i = 0; i < 12; ++i) now = choose_batches(batch, now, noise);
    ASSERT_EQ(choose_batches(batch, now, noise), now);
  }
}

TEST(BatchGrowth, GivesSgdTheRateOfWhatAStepIsWorth) {
  scheduler::JobSpec spec;
  spec.batch = kBatch;
  spec.optimizer.name = "sgd";
  EXPECT_EQ(batch_rate_factor(spec, 1, 100), 1);
  EXPECT_EQ(batch_rate_factor(spec, 4, 0), 1) << "there is no noise";
  EXPECT_EQ(batch_rate_factor(spec, 4, std::nullopt), 4) << "all is noise, or nobody knows";
  EXPECT_NEAR(batch_rate_factor(spec, 4, 1e12), 4, 1e-6);
  EXPECT_NEAR(batch_rate_factor(spec, 4, 1e-9), 1, 1e-6) << "without noise a larger batch gains nothing";
  double before = 1;
  for (std::uint32_t batches = 2; batches <= 16; batches *= 2) {
    const double factor = batch_rate_factor(spec, batches, 96);
    EXPECT_GT(factor, before);
    EXPECT_LT(factor, batches);
    // Pollux counts the progress of such a step alike.
    const scheduler::GradientNoise noise{.squared_norm = 1, .variance = 96.0 / 32};
    EXPECT_DOUBLE_EQ(factor, noise.gain(batches));
    before = factor;
  }
}

TEST(BatchGrowth, GivesAdamTheSquareRoot) {
  scheduler::JobSpec spec;
  spec.batch = kBatch;
  for (const char* name : {"adam", "adamw"}) {
    spec.optimizer.name = name;
    for (const double noise : {0.0, 10.0, 1e9}) {
      EXPECT_EQ(batch_rate_factor(spec, 1, noise), 1);
      EXPECT_EQ(batch_rate_factor(spec, 16, noise), 4) << name;
    }
  }
}

TEST(BatchGrowth, StepsStopAtEachEvaluationAtTheEndOfEachEpochAndAtTheLastStep) {
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    scheduler::JobSpec spec;
    const std::uint64_t per_epoch = 1 + random() % 40, total = 1 + random() % 200;
    const bool has_validation = random() % 3 != 0;
    if (random() % 2 == 0) spec.validate.every_steps = 1 + random() % 30;
    spec.validate.every_epochs = 1 + random() % 3;
    const Boundaries boundaries(spec, per_epoch, total, has_validation);
    const std::uint32_t most = 1U << random() % 6;
    std::uint64_t step = 0;
    while (step < total) {
      const std::uint32_t taken = boundaries.count_batches(step, most);
      ASSERT_GE(taken, 1U);
      ASSERT_LE(taken, most);
      for (std::uint64_t inside = step + 1; inside < step + taken; ++inside)
        ASSERT_FALSE(boundaries.is_evaluation(inside) || inside % per_epoch == 0 || inside >= total)
            << inside;
      const std::uint64_t after = step + taken;
      const bool must_stop =
          boundaries.is_evaluation(after) || after % per_epoch == 0 || after == total ||
          (has_validation && spec.validate.every_steps && after % *spec.validate.every_steps == 0);
      ASSERT_TRUE(taken == most || must_stop) << "it takes fewer without need";
      step = after;
    }
    ASSERT_EQ(step, total);
  }
}

}  // namespace
}  // namespace ds::train
