#include "actors/serving/statistics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace ds::serving {
namespace {

StageTimes times_of(std::uint64_t queue, std::uint64_t compute, std::uint64_t serialize,
                    std::uint64_t batch_wait = 0) {
  StageTimes times;
  times[Stage::queue] = queue;
  times[Stage::batch_wait] = batch_wait;
  times[Stage::compute] = compute;
  times[Stage::serialize] = serialize;
  return times;
}

TEST(ModelStatistics, CountsRequestsRowsAndBatchesAsTheProtocolSays) {
  ModelStatistics statistics;
  statistics.record_batch(5, 100);
  statistics.record_success(2, times_of(50, 100, 7), 1'000);
  statistics.record_success(3, times_of(5, 100, 7, 15), 999);
  statistics.record_failure(77, FailureCause::timeout);
  EXPECT_EQ(statistics.inference_count, 5U);
  EXPECT_EQ(statistics.execution_count, 1U);
  EXPECT_EQ(statistics.last_inference_ms, 1'000U) << "it never goes back";
  EXPECT_EQ(statistics.success, (TimeSum{2, 284}));
  EXPECT_EQ(statistics.fail, (TimeSum{1, 77}));
  EXPECT_EQ(statistics.failed.at(static_cast<std::size_t>(FailureCause::timeout)), 1U);
  EXPECT_EQ(statistics.queue, (TimeSum{2, 70})) << "all that they waited";
  EXPECT_EQ(statistics.compute_infer, (TimeSum{2, 200}));
  EXPECT_EQ(statistics.batches.at(5).compute_infer, (TimeSum{1, 100}));
}

TEST(FailureCauses, TellLoadLatenessAndMistakesApart) {
  EXPECT_EQ(to_string(cause_of(ErrorCode::resource_exhausted)), "overload");
  EXPECT_EQ(to_string(cause_of(ErrorCode::unavailable)), "unavailable");
  EXPECT_EQ(to_string(cause_of(ErrorCode::deadline_exceeded)), "timeout");
  EXPECT_EQ(to_string(cause_of(ErrorCode::cancelled)), "cancelled");
  EXPECT_EQ(to_string(cause_of(ErrorCode::internal)), "internal");
  for (const auto mistake : {ErrorCode::invalid_argument, ErrorCode::not_found, ErrorCode::unsupported})
    EXPECT_EQ(to_string(cause_of(mistake)), "invalid");
}

TEST(ModelStatistics, BoundsTheNumberOfBatchSizes) {
  ModelStatistics statistics;
  for (std::uint32_t rows = 1; rows < 5'000; ++rows) statistics.record_batch(rows, 1);
  EXPECT_EQ(statistics.batches.size(), ModelStatistics::kMostBatchSizes);
  EXPECT_EQ(statistics.execution_count, 4'999U);
}

TEST(LatencyHistogram, CountsASampleAtABoundInItsBucket) {
  LatencyHistogram histogram;
  histogram.record(50'000);
  histogram.record(50'001);
  histogram.record(0);
  histogram.record(3'600'000'000'000);
  EXPECT_EQ(histogram.count_up_to(0), 2U);
  EXPECT_EQ(histogram.count_up_to(1), 3U);
  EXPECT_EQ(histogram.count_up_to(LatencyHistogram::kBoundsNs.size() - 1), 3U);
  EXPECT_EQ(histogram.count(), 4U);
  EXPECT_EQ(histogram.sum_ns, 3'600'000'100'001U);
  EXPECT_TRUE(std::ranges::is_sorted(LatencyHistogram::kBoundsNs));
}

TEST(StageHistograms, HaveStagesThatAddUpToTheWholeWhateverIsMeasured) {
  std::mt19937 random(2);
  StageHistograms histograms;
  for (int i = 0; i < 1'000; ++i) {
    StageTimes times;
    for (std::uint64_t& ns : times.ns) ns = random() % 1'000'000;
    histograms.record(times, random() % 10'000'000);
  }
  std::uint64_t stages = 0;
  for (const LatencyHistogram& stage : histograms.stages) {
    stages += stage.sum_ns;
    EXPECT_EQ(stage.count(), 1'000U);
  }
  EXPECT_EQ(histograms.whole.sum_ns, stages);
  EXPECT_EQ(histograms.whole.count(), 1'000U);
}

TEST(StageHistograms, CallWhatNoStageMeasuredTheRest) {
  StageHistograms histograms;
  histograms.record(times_of(10, 20, 70), 150);
  EXPECT_EQ(histograms.stages.at(static_cast<std::size_t>(Stage::rest)).sum_ns, 50U);
  EXPECT_EQ(histograms.whole.sum_ns, 150U);
}

}  // namespace
}  // namespace ds::serving
