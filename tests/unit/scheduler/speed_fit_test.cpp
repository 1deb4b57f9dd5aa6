#include "scheduler/policy/elastic/speed_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace ds::scheduler {
namespace {

StepMeasured measure(const SpeedModel& model, std::uint32_t nodes, std::uint32_t slots, double batch) {
  return {nodes, slots, batch, model.step_s(nodes, slots, batch), model.compute_s(batch)};
}

TEST(SpeedModel, TheNetworkIsHiddenBehindTheComputationByTheOverlap) {
  SpeedModel model{.compute_base = 3, .local_base = 4, .network_base = 8, .overlap = 1};
  EXPECT_DOUBLE_EQ(model.step_s(1, 1, 10), 3);
  EXPECT_DOUBLE_EQ(model.step_s(1, 2, 10), 7);
  EXPECT_DOUBLE_EQ(model.step_s(2, 2, 10), 11);
  model.overlap = 2;
  EXPECT_DOUBLE_EQ(model.step_s(1, 2, 10), 5);
}

TEST(SpeedFit, FindsModelsAgainFromTheStepsThatTheyPredict) {
  std::mt19937_64 random(7);
  const auto between = [&](double low, double high) {
    return low * std::pow(high / low, std::uniform_real_distribution<double>(0, 1)(random));
  };
  for (int round = 0; round < 200; ++round) {
    const SpeedModel truth{between(0.01, 0.1), between(0.001, 0.01), between(0.01, 0.2), between(0.001, 0.01),
                           between(0.02, 0.5), between(0.001, 0.02), between(1, 4)};
    std::vector<StepMeasured> steps;
    for (const std::uint32_t slots : {1U, 2U, 3U, 4U}) {
      for (const double batch : {16.0, 32.0, 64.0}) steps.push_back(measure(truth, 1, slots, batch));
    }
    for (const std::uint32_t slots : {8U, 12U, 16U}) {
      for (const double batch : {16.0, 32.0, 64.0}) steps.push_back(measure(truth, slots / 4, slots, batch));
    }
    const SpeedModel fitted = fit_speed(steps, std::nullopt);
    EXPECT_LT(worst_ratio(fitted, steps), 1.03) << "round " << round;
    const StepMeasured far = measure(truth, 6, 24, 48);
    EXPECT_LT(worst_ratio(fitted, {&far, 1}), 1.1) << "round " << round;
  }
}

TEST(SpeedFit, TakesWhatWasNotSeenForAsGoodAsItCouldBe) {
  const SpeedModel truth{0.1, 0.01, 0.2, 0.05, 1, 0.1, 1};
  std::vector<StepMeasured> steps{measure(truth, 1, 1, 10)};
  SpeedModel fitted = fit_speed(steps, std::nullopt);
  EXPECT_NEAR(fitted.compute_base, fitted.compute_sample * 10, 1e-6);
  EXPECT_NEAR(fitted.step_s(1, 4, 10), fitted.step_s(1, 1, 10), 1e-5);
  EXPECT_NEAR(fitted.step_s(4, 16, 10), fitted.step_s(1, 1, 10), 1e-5);

  steps.push_back(measure(truth, 1, 1, 20));
  steps.push_back(measure(truth, 1, 2, 20));
  fitted = fit_speed(steps, fitted);
  EXPECT_LT(worst_ratio(fitted, steps), 1.01);
  EXPECT_NEAR(fitted.step_s(1, 4, 20), fitted.step_s(1, 2, 20), 1e-4);
  EXPECT_NEAR(fitted.network_base, 1.1 * fitted.local_base, 1e-9);

  steps.push_back(measure(truth, 1, 4, 20));
  fitted = fit_speed(steps, fitted);
  EXPECT_LT(worst_ratio(fitted, steps), 1.01);
  EXPECT_NEAR(fitted.local_slot, 0.05, 0.02);
}

TEST(Goodput, ABatchIsDividedAsTheTracesDo) {
  const BatchLimits limits{.base = 128, .max = 4096, .min_per_slot = 32, .max_per_slot = 1024};
  EXPECT_EQ(divide_batch(128, 1, limits), (BatchChoice{128, 0}));
  EXPECT_EQ(divide_batch(256, 1, limits), (BatchChoice{128, 1}));
  EXPECT_EQ(divide_batch(4096, 2, limits), (BatchChoice{1024, 1}));
  EXPECT_EQ(divide_batch(4096, 3, limits), (BatchChoice{682, 1}));
  EXPECT_EQ(divide_batch(1000, 3, limits), (BatchChoice{334, 0}));
}

TEST(Goodput, TheBestBatchIsAsGoodAsAnyTried) {
  const Goodput goodput{.speed = {0.02, 0.0007, 0.05, 0.01, 0.1, 0.01, 2},
                        .noise = {.squared_norm = 0.5, .variance = 4},
                        .limits = {.base = 128, .max = 4096, .min_per_slot = 32, .max_per_slot = 1024}};
  for (const std::uint32_t slots : {1U, 2U, 4U, 8U, 16U, 64U}) {
    const std::uint32_t nodes = (slots + 3) / 4;
    const BatchChoice best = goodput.best_batch(nodes, slots);
    EXPECT_LE(best.total(slots), 4096);
    EXPECT_LE(best.per_slot, 1024);
    for (double total = std::max(128.0, 32.0 * slots); total <= 4096; total += 32) {
      const BatchChoice other = divide_batch(total, slots, goodput.limits);
      EXPECT_LE(goodput.at(nodes, slots, other), 1.02 * goodput.at(nodes, slots, best))
          << slots << ' ' << total;
    }
  }
}

}  // namespace
}  // namespace ds::scheduler
