#include "actors/train/progress.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ds::train {
namespace {

TEST(Progress, EndsAfterPatienceEvaluationsWithoutAGain) {
  scheduler::EarlyStop rule{{"accuracy", true}, 2, 0.01};
  Progress progress;
  std::uint64_t step = 0;
  for (const double accuracy : {0.5, 0.6, 0.605, 0.62, 0.625}) {
    judge(progress, step += 10, accuracy, rule);
    EXPECT_EQ(progress.ended, 0) << accuracy;
  }
  judge(progress, step += 10, 0.629, rule);
  EXPECT_EQ(progress.ended, 1);
  EXPECT_EQ(progress.best, 0.62);
}

TEST(Progress, TakesALowerLossForBetter) {
  scheduler::EarlyStop rule{{"loss", false}, 1, 0};
  Progress progress;
  judge(progress, 1, 2.0, rule);
  judge(progress, 2, 1.0, rule);
  EXPECT_EQ(progress.ended, 0);
  judge(progress, 3, 1.0, rule);
  EXPECT_EQ(progress.ended, 1);
}

TEST(Progress, ForgetsAFirstEvaluationThatIsNoNumber) {
  scheduler::EarlyStop rule{{"loss", false}, 1, 0};
  Progress progress;
  judge(progress, 1, std::nan(""), rule);
  judge(progress, 2, 1.0, rule);
  EXPECT_EQ(progress.ended, 0);
  EXPECT_EQ(progress.best, 1.0);
}

TEST(Progress, CountsAStepThatIsEvaluatedAgainOnce) {
  scheduler::EarlyStop rule{{"loss", false}, 2, 0};
  Progress progress;
  judge(progress, 10, 1.0, rule);
  judge(progress, 20, 2.0, rule);
  const Progress once = progress;
  for (int i = 0; i < 5; ++i) judge(progress, 20, 2.0, rule);
  EXPECT_EQ(progress, once);
}

TEST(Progress, SurvivesItsWayThroughAState) {
  const Progress progress{1, 2, 3, 4.5, 6, 1, 65536, 8, 9, 10, 11, {12, 13, 14}, 16, 17};
  EXPECT_EQ(Progress::of(progress.values()), progress);
  const auto values = progress.values();
  EXPECT_EQ(Progress::of_bytes(std::as_bytes(std::span(values))).value(), progress);
}

TEST(Progress, IsReadFromAStateThatWasWrittenBeforeItHadAllOfIt) {
  const Progress progress{1, 2, 3, 4.5, 6, 1, 65536, 8, 9, 10, 11, {12, 13, 14}, 16, 17};
  const auto values = progress.values();
  const auto bytes = std::as_bytes(std::span(values));
  Progress old = progress;
  old.overflows = 0;
  old.noise = {};
  old.batches = old.further_batches = 0;
  EXPECT_EQ(Progress::of_bytes(bytes.first(10 * sizeof(double))).value(), old);
  const std::vector<std::byte> longer(bytes.size() + sizeof(double));
  for (const auto wrong : {bytes.first(0), bytes.first(bytes.size() - 1), std::span<const std::byte>(longer)})
    EXPECT_EQ(Progress::of_bytes(wrong).error().code, ErrorCode::data_loss) << wrong.size();
}

TEST(Progress, ReachesATargetFromTheRightSide) {
  EXPECT_TRUE(reaches({"accuracy", true}, 0.95, 0.95));
  EXPECT_FALSE(reaches({"accuracy", true}, 0.94, 0.95));
  EXPECT_TRUE(reaches({"loss", false}, 0.1, 0.2));
  EXPECT_FALSE(reaches({"loss", false}, 0.3, 0.2));
}

}  // namespace
}  // namespace ds::train
