// What jobs have measured of their speed.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

/// A running job with one worker, of 1,000 steps.
Ledger with_running_job() {
  auto ledger = with_job();
  EXPECT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0})));
  EXPECT_TRUE(ledger.apply(event(JobSized{"intents-1", 1000, 100})));
  return ledger;
}

TEST(LedgerSpeeds, AreKeptBySizeTheNewestOfEach) {
  auto ledger = with_running_job();
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 1, 1, 0.4, 0.4, 0})));
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 2, 1, 0.3, 0.2, 1.5})));
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 1, 1, 0.5, 0.5, 0})));
  const auto& sizes = ledger.find("intents-1")->sizes;
  ASSERT_EQ(sizes.size(), 2U);
  EXPECT_EQ(sizes[0], (SizeMeasured{2, 1, 0.3, 0.2}));
  EXPECT_EQ(sizes[1], (SizeMeasured{1, 1, 0.5, 0.5}));
  EXPECT_EQ(ledger.find("intents-1")->resizes_s, std::vector<double>{1.5});
}

TEST(LedgerSpeeds, AreBounded) {
  auto ledger = with_running_job();
  for (std::uint32_t workers = 1; workers <= 200; ++workers)
    ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", workers, 1, 0.4, 0.4, 1})));
  EXPECT_EQ(ledger.find("intents-1")->sizes.size(), 32U);
  EXPECT_EQ(ledger.find("intents-1")->resizes_s.size(), 8U);
}

TEST(LedgerSpeeds, ThatCanNotBeAreRefused) {
  auto ledger = with_running_job();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& body :
       {SpeedMeasured{"other", 1, 1, 1, 1, 0}, SpeedMeasured{"intents-1", 0, 0, 1, 1, 0},
        SpeedMeasured{"intents-1", 1, 2, 1, 1, 0}, SpeedMeasured{"intents-1", 1, 1, 0, 0, 0},
        SpeedMeasured{"intents-1", 1, 1, 1, 2, 0}, SpeedMeasured{"intents-1", 1, 1, nan, 1, 0},
        SpeedMeasured{"intents-1", 1, 1, 1, nan, 0}, SpeedMeasured{"intents-1", 1, 1, 1, 1, -1}})
    EXPECT_FALSE(ledger.apply(event(body))) << to_text(event(body));
}

TEST(LedgerSpeeds, TellThePlannerWhatTheJobGainsAndWhatIsLeftToDo) {
  auto ledger = with_running_job();
  const auto demand = [&] { return ledger.demand(*ledger.find("intents-1"), 0).value(); };
  EXPECT_FALSE(demand().is_settled);
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 1, 1, 0.4, 0.4, 0})));
  EXPECT_TRUE(demand().is_settled);
  EXPECT_EQ(demand().curve, nullptr) << "how it scales can't be told from one size";
  EXPECT_DOUBLE_EQ(demand().left_s, 400);
  ASSERT_TRUE(ledger.apply(event(CheckpointCommitted{"intents-1", 500})));
  EXPECT_DOUBLE_EQ(demand().left_s, 200);
  EXPECT_DOUBLE_EQ(ledger.find("intents-1")->left_s(900), 40);
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "intents-1", "node-1", 1, 0})));
  EXPECT_FALSE(demand().is_settled);
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 2, 1, 0.2, 0.2, 3})));
  ASSERT_NE(demand().curve, nullptr);
  EXPECT_EQ(demand().curve->log_speeds.size(), 4U);
  EXPECT_EQ(demand().curve->resize_s, 3);
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"intents-1", 2, 3})));
  EXPECT_EQ(demand().curve->first, 2U);
  EXPECT_EQ(demand().curve->log_speeds.size(), 2U);
}

/// As `with_running_job`, but its steps may take from 64 to 256 samples.
Ledger with_growing_job() {
  Ledger ledger;
  auto submission = submitted("intents-1");
  submission.text += "batch: {global: 64, max_global: 256}\n";
  EXPECT_TRUE(ledger.apply(event(submission, 1000)));
  EXPECT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "node-1", 1, 0})));
  EXPECT_TRUE(ledger.apply(event(JobSized{"intents-1", 1000, 100})));
  return ledger;
}

TEST(LedgerSpeeds, OfAJobWhoseBatchHasGrownAreThoseAtThatBatch) {
  auto ledger = with_growing_job();
  const auto& job = *ledger.find("intents-1");
  const auto two_of = [&] { return std::exp(ledger.demand(job, 0)->curve->log_speeds[1]); };
  EXPECT_EQ(job.batches(), 1U);
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 1, 1, 0.4, 0.4, 0})));
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 2, 1, 0.4, 0.2, 0})));
  EXPECT_NEAR(two_of(), 1, 1e-9) << "half the work, and a sum that costs as much";
  const auto growth = [&] { return next_growth(ledger.demand(job, 0).value(), 1, 1).workers; };
  EXPECT_EQ(growth(), 0U) << "a second worker is not worth it";
  ASSERT_TRUE(ledger.apply(event(BatchChanged{"intents-1", 500, 256})));
  EXPECT_EQ(job.batches(), 4U);
  EXPECT_NEAR(two_of(), 4 * 0.4 / (4 * 0.2 + 0.2), 1e-9) << "before it was measured at that batch";
  EXPECT_EQ(growth(), 1U) << "at that batch it is";
  EXPECT_DOUBLE_EQ(job.left_s(0), 400) << "1,000 batches, four of them in 1.6 s";
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 1, 1, 1.2, 1.2, 0, 4})));
  EXPECT_NEAR(two_of(), 1.2 / 1.0, 1e-9);
  EXPECT_DOUBLE_EQ(job.left_s(0), 300);
  const auto restored = Ledger::restore(ledger.snapshot());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->find("intents-1")->batch, 256U);
  EXPECT_EQ(restored->find("intents-1")->sizes, job.sizes);
  EXPECT_EQ(*restored->find("intents-1")->curve, *job.curve);
}

TEST(LedgerSpeeds, BatchesThatTheJobCanNotHaveAreRefused) {
  auto ledger = with_growing_job();
  for (const std::uint64_t batch : {0U, 100U, 512U})
    EXPECT_FALSE(ledger.apply(event(BatchChanged{"intents-1", 1, batch}))) << batch;
  EXPECT_FALSE(ledger.apply(event(BatchChanged{"other", 1, 64})));
  EXPECT_FALSE(with_running_job().apply(event(BatchChanged{"intents-1", 1, 256}))) << "its batch is fixed";
  EXPECT_TRUE(ledger.apply(event(BatchChanged{"intents-1", 1, 128})));
  const auto page = ledger.history_of(*ledger.find("intents-1"), std::nullopt);
  ASSERT_FALSE(page.happenings.empty());
  EXPECT_EQ(page.happenings.back().what, "batch");
  EXPECT_EQ(page.happenings.back().value, "128");
}

TEST(LedgerSpeeds, AreThereAgainAfterASnapshot) {
  auto ledger = with_running_job();
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 1, 1, 0.4, 0.4, 0})));
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 2, 1, 0.3, 0.2, 1.5})));
  const auto restored = Ledger::restore(ledger.snapshot());
  ASSERT_TRUE(restored);
  const auto &job = *restored->find("intents-1"), &original = *ledger.find("intents-1");
  EXPECT_EQ(job.sizes, original.sizes);
  EXPECT_EQ(job.resizes_s, original.resizes_s);
  ASSERT_NE(job.curve, nullptr);
  EXPECT_EQ(*job.curve, *original.curve);
}

TEST(LedgerSpeeds, NeedNoResizeToBeThereAgain) {
  auto ledger = with_running_job();
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 1, 1, 0.4, 0.4, 0})));
  const auto restored = Ledger::restore(ledger.snapshot());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->find("intents-1")->sizes, ledger.find("intents-1")->sizes);
  EXPECT_TRUE(restored->find("intents-1")->resizes_s.empty());
}

TEST(LedgerSpeeds, HaveNoCurveOnceTheJobHasEndedAndOneAgainWhenItIsTriedAgain) {
  auto ledger = with_running_job();
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 1, 1, 0.4, 0.4, 0})));
  ASSERT_TRUE(ledger.apply(event(SpeedMeasured{"intents-1", 2, 1, 0.3, 0.2, 1.5})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::cancelled, "because"})));
  EXPECT_EQ(ledger.find("intents-1")->curve, nullptr);
  EXPECT_EQ(Ledger::restore(ledger.snapshot())->find("intents-1")->curve, nullptr);
  ASSERT_TRUE(ledger.apply(event(JobRetried{"intents-1"})));
  EXPECT_NE(ledger.find("intents-1")->curve, nullptr);
}

}  // namespace
}  // namespace ds::scheduler
