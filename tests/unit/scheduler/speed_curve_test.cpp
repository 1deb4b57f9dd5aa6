#include "scheduler/policy/elastic/speed_curve.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "scheduler/policy/elastic/step_times.hpp"

namespace ds::scheduler {
namespace {

/// As a job of eight parts measures it whose sum of gradients takes `network_s` between two or more.
SizeMeasured measured(std::uint32_t workers, double part_s, double network_s) {
  const double compute = part_s * std::ceil(8.0 / workers);
  return {workers, 1, compute + (workers > 1 ? network_s : 0), compute};
}

TEST(SpeedCurve, IsNotKnownBeforeSharesOfTwoSizesWereMeasured) {
  const std::vector<SizeMeasured> none, one{measured(1, 0.1, 0)};
  EXPECT_EQ(make_curve(none, {}, {1, 8}, 8), nullptr);
  EXPECT_EQ(make_curve(one, {}, {1, 8}, 8), nullptr);
  const std::vector<SizeMeasured> same_share{measured(5, 0.1, 0), measured(6, 0.1, 0)};
  EXPECT_EQ(make_curve(same_share, {}, {1, 8}, 8), nullptr);
}

TEST(SpeedCurve, IsWhatWasMeasuredAndBetweenAndBeyondItTheModels) {
  const std::vector<SizeMeasured> sizes{measured(1, 0.1, 0.05), measured(2, 0.1, 0.05),
                                        measured(4, 0.1, 0.05)};
  const auto curve = make_curve(sizes, std::vector<double>{3, 1, 2}, {1, 8}, 8);
  ASSERT_NE(curve, nullptr);
  ASSERT_EQ(curve->log_speeds.size(), 8U);
  EXPECT_EQ(curve->resize_s, 2);
  EXPECT_NEAR(std::exp(curve->log_speeds[1]), 0.8 / 0.45, 1e-9);
  EXPECT_NEAR(std::exp(curve->log_speeds[3]), 0.8 / 0.25, 1e-9);
  EXPECT_NEAR(std::exp(curve->log_speeds[2]), 0.8 / 0.35, 0.15) << "three parts for each";
  EXPECT_NEAR(std::exp(curve->log_speeds[7]), 0.8 / 0.15, 0.8);
  EXPECT_LT(std::abs(curve->log_speeds[5] - curve->log_speeds[3]), 0.05) << "no smaller share than four's";
}

TEST(SpeedCurve, OfAJobThatGainsNothingIsFlat) {
  std::vector<SizeMeasured> sizes;
  for (const std::uint32_t workers : {1U, 2U})
    sizes.push_back({workers, 1, workers == 1 ? 0.01 : 0.02, 0.009});
  const auto curve = make_curve(sizes, {}, {1, 4}, 4);
  ASSERT_NE(curve, nullptr);
  EXPECT_LT(curve->log_speeds[1], -0.5);
  EXPECT_LT(curve->log_speeds[3], 0.1);
}

TEST(SpeedCurve, OfALargerBatchGivesMoreWorkersMore) {
  // Two workers gain nothing: what they save is spent on the sum.
  const std::vector<SizeMeasured> sizes{measured(1, 0.1, 0), measured(2, 0.1, 0.4)};
  const auto small = make_curve(sizes, {}, {1, 8}, 8), large = make_curve(sizes, {}, {1, 8}, 8, 8);
  EXPECT_NEAR(std::exp(small->log_speeds[1]), 1, 1e-9);
  EXPECT_NEAR(std::exp(large->log_speeds[1]), 8 * 0.8 / (8 * 0.4 + 0.4), 1e-9) << "one sum for eight batches";
  for (std::size_t i = 1; i < 8; ++i) EXPECT_GE(large->log_speeds[i], small->log_speeds[i]) << i + 1;
}

TEST(SpeedCurve, IsTheSameWhateverTheBatchesWereAtWhichSizesWereMeasured) {
  const std::vector<SizeMeasured> at_one{measured(1, 0.1, 0.05), measured(2, 0.1, 0.05)};
  const std::vector<SizeMeasured> mixed{at_one[0], at_one[1].with(4)};
  EXPECT_DOUBLE_EQ(mixed[1].step_s, 4 * 0.4 + 0.05);
  for (const std::uint32_t batches : {1U, 2U, 16U}) {
    const auto one = make_curve(at_one, {}, {1, 8}, 8, batches),
               other = make_curve(mixed, {}, {1, 8}, 8, batches);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(one->log_speeds[i], other->log_speeds[i], 1e-6) << i;
  }
}

TEST(StepTimes, SettleAfterTheFirstStepsAndTellOfNothingTwice) {
  StepTimes times;
  times.begin(2, 1, std::nullopt);
  std::vector<SizeMeasured> told;
  for (std::uint64_t step = 1; step <= 2000; ++step) {
    const double slow = step < 6 ? 5.0 : step % 10 == 0 ? 1.0 : 0;  // warm-up, and a pause now and then
    if (const auto size = times.add({step, 0.1 + slow, 0.08})) told.push_back(*size);
  }
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0], (SizeMeasured{2, 1, 0.1, 0.08}));
}

TEST(KeepMeasured, CountsWhatIsOlderAsSlowerByWhatTheSameSizeHasBecome) {
  std::vector<SizeMeasured> sizes;
  keep_measured(sizes, {1, 1, 0.8, 0.8});
  keep_measured(sizes, {2, 1, 0.5, 0.4});
  keep_measured(sizes, {3, 1, 0.4, 0.3});
  const auto before = make_curve(sizes, {}, {1, 4}, 8);
  // It stays at three workers while the machine becomes twice as busy.
  keep_measured(sizes, {3, 1, 0.8, 0.6});
  EXPECT_EQ(sizes, (std::vector<SizeMeasured>{{1, 1, 1.6, 1.6}, {2, 1, 1.0, 0.8}, {3, 1, 0.8, 0.6}}));
  const auto after = make_curve(sizes, {}, {1, 4}, 8);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(after->log_speeds[i], before->log_speeds[i], 1e-9) << "no other size has become better";
  keep_measured(sizes, {3, 1, 0.4, 0.3});
  EXPECT_EQ(sizes[0], (SizeMeasured{1, 1, 0.8, 0.8})) << "and free again";
}

TEST(KeepMeasured, LeavesWhatWasMeasuredSince) {
  std::vector<SizeMeasured> sizes;
  keep_measured(sizes, {2, 1, 0.4, 0.4});
  keep_measured(sizes, {1, 1, 1.6, 1.6});  // on a busy machine already
  keep_measured(sizes, {2, 1, 0.8, 0.8});
  EXPECT_EQ(sizes, (std::vector<SizeMeasured>{{1, 1, 1.6, 1.6}, {2, 1, 0.8, 0.8}}));
}

TEST(KeepMeasured, ComparesStepsOfAsManyBatches) {
  std::vector<SizeMeasured> sizes;
  keep_measured(sizes, {1, 1, 0.8, 0.8});
  keep_measured(sizes, {2, 1, 0.5, 0.4});
  keep_measured(sizes, {2, 1, 1.7, 1.6, 4});  // four batches and one sum take as long as ever
  EXPECT_DOUBLE_EQ(sizes[0].step_s, 0.8);
}

TEST(StepTimes, FindOutSoonThatTheMachineHasBecomeBusierHoweverLongItHasRun) {
  StepTimes times;
  times.begin(2, 1, SizeMeasured{2, 1, 0.1, 0.08});
  std::uint64_t step = 1;
  for (; step <= 200'000; ++step) ASSERT_FALSE(times.add({step, 0.1, 0.08}));
  const auto busier = step;
  while (!times.add({step, 0.2, 0.16})) ++step;
  EXPECT_LE(step - busier, StepTimes::kMostReports + StepTimes::kReportsKept);
}

TEST(StepTimes, TellAgainWhenTheyHaveBecomeOthersAndSeldom) {
  StepTimes times;
  times.begin(2, 1, SizeMeasured{2, 1, 0.1, 0.08});
  std::size_t told = 0;
  double step_s = 0.1;
  for (std::uint64_t step = 1; step <= 100'000; ++step) {
    if (step % 100 == 0) step_s *= 1.01;
    told += times.add({step, step_s, 0.08}).has_value() ? 1 : 0;
  }
  EXPECT_GE(told, 2U);
  EXPECT_LE(told, 4 + 100'000 / StepTimes::kMostReports);
}

TEST(StepTimes, BeginAgainWhenStepsTakeMoreBatches) {
  StepTimes times;
  times.begin(2, 1, std::nullopt);
  std::vector<SizeMeasured> told;
  for (std::uint64_t step = 1; step <= 400; ++step) {
    const std::uint32_t batches = step < 200 ? 1 : 4;
    // A step in two is cut short, as before an evaluation; a sum takes as long as ever.
    const double took = batches == 1 || step % 2 == 0 ? batches : batches / 2.0;
    if (const auto size = times.add({step, 0.1 * took + 0.02, 0.1 * took, took, batches}))
      told.push_back(*size);
  }
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].batches, 1U);
  EXPECT_NEAR(told[0].step_s, 0.12, 1e-12);
  EXPECT_EQ(told[1].batches, 4U);
  EXPECT_NEAR(told[1].step_s, 0.42, 1e-12);
  EXPECT_NEAR(told[1].compute_s, 0.4, 1e-12);
}

TEST(StepTimes, LeaveOutAsManyFirstStepsOfALargeBatch) {
  StepTimes times;
  times.begin(2, 1, std::nullopt);
  std::optional<std::uint64_t> settled;
  for (std::uint64_t step = 8; step <= 40 * 8 && !settled; step += 8) {
    const double slow = step <= 5 * 8 ? 5.0 : 0;
    const auto size = times.add({step, 0.5 + slow, 0.4, 8, 8});
    if (!size) continue;
    settled = step / 8;
    EXPECT_EQ(*size, (SizeMeasured{2, 1, 0.5, 0.4, 8}));
  }
  EXPECT_EQ(settled, 5 + StepTimes::kFirstReports);
}

TEST(StepTimes, LeaveOutWhatCanNotBe) {
  StepTimes times;
  times.begin(1, 1, std::nullopt);
  for (std::uint64_t step = 1; step < 100; ++step) {
    EXPECT_FALSE(times.add({step, std::numeric_limits<double>::quiet_NaN(), 0.1}));
    EXPECT_FALSE(times.add({step, 0.1, 0}));
    EXPECT_FALSE(times.add({step, 0.1, 0.2}));
  }
  StepTimes never_begun;
  for (std::uint64_t step = 1; step < 100; ++step)
    EXPECT_EQ(never_begun.add({step, 1, 1}).has_value(), false);
}

}  // namespace
}  // namespace ds::scheduler
