#include "actors/train/batch_maker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <stdexcept>

#include "tests/unit/shard/shard_job.hpp"

namespace ds::train {
namespace {

using shard::ShardJob;

TEST(BatchMaker, GoesThroughEverySampleOnceAnEpochWhateverTheRanksHosted) {
  for (const std::uint32_t accumulate : {1U, 3U}) {
    ShardJob job(100, 24, 5);
    job.spec.batch.accumulate = accumulate;
    job.open();
    for (const std::uint32_t workers : {1U, 2U, 5U}) {
      std::vector<float> seen;
      for (const auto hosted : collective::assign_logical_ranks(5, workers)) {
        auto which = job.maker->first_at(0, hosted);
        for (; which && which->step < 5; which = job.maker->after(*which, hosted)) {
          EXPECT_GE(which->logical_rank, hosted.first);
          EXPECT_LT(which->logical_rank, hosted.last);
          const auto batch = job.maker->make(*which);
          ASSERT_TRUE(batch) << batch.error().message;
          ASSERT_GT(batch->rows, 0U);
          const Buffer& bytes = batch->find("features")->bytes;
          const auto* values = reinterpret_cast<const float*>(bytes.bytes().data());
          seen.insert(seen.end(), values, values + batch->rows);
          std::uint64_t size = 0;
          for (const auto& [name, tensor] : batch->fields) size += tensor.bytes.size();
          EXPECT_EQ(job.maker->bytes_of(*which), size);
        }
      }
      std::ranges::sort(seen);
      ASSERT_EQ(seen.size(), 100U) << workers << " workers";
      for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], static_cast<float>(i));
    }
  }
}

TEST(BatchMaker, GoesThroughTheSameSamplesInRisingNumbersWhenStepsTakeSeveralBatches) {
  ShardJob job(1000, 48, 3);  // 21 batches an epoch, the last one short
  job.spec.batch.accumulate = 2;
  job.spec.batch.max_global = 16 * 48;
  job.spec.until.steps = 42;
  job.open();
  for (const std::uint32_t batches : {1U, 2U, 4U, 16U}) {
    for (const std::uint32_t workers : {1U, 2U, 3U}) {
      std::vector<int> taken(1000);
      for (const auto hosted : collective::assign_logical_ranks(3, workers)) {
        std::optional<MicroBatch> before;
        for (auto which = job.maker->first_at(0, hosted, batches); which;
             which = job.maker->after(*which, hosted, batches)) {
          if (before) {
            ASSERT_LT(*before, *which) << "sources make them in that order";
          }
          before = which;
          ASSERT_TRUE(job.maker->has(*which));
          ASSERT_EQ(job.maker->batch_of(*which) / 21, which->step / 21) << "of one epoch";
          for (const std::uint64_t sample : job.maker->samples_of(*which)) ++taken.at(sample);
        }
      }
      EXPECT_EQ(taken, std::vector<int>(1000, 2)) << batches << " batches, " << workers << " workers";
    }
  }
}

TEST(BatchMaker, MakesTheSameOfABatchWhateverStepItIsAPartOf) {
  ShardJob job(1000, 48, 3);
  job.spec.batch.accumulate = 2;
  job.spec.batch.max_global = 4 * 48;
  job.open();
  for (std::uint32_t micro = 0; micro < 8; ++micro) {
    const auto within = job.maker->make({3, 1, micro}),
               alone = job.maker->make({3 + micro / 2, 1, micro % 2});
    ASSERT_TRUE(within && alone);
    EXPECT_EQ(within->samples, alone->samples);
    EXPECT_EQ(within->find("features")->bytes, alone->find("features")->bytes);
  }
  EXPECT_FALSE(job.maker->has({3, 1, 8}));
  EXPECT_FALSE(job.maker->has({20, 1, 2})) << "of the next epoch";
}

TEST(BatchMaker, KnowsWhichBatchesAJobHas) {
  const ShardJob job(100, 16, 4);
  EXPECT_TRUE(job.maker->has({999, 3, 0}));
  EXPECT_FALSE(job.maker->has({1000, 3, 0}));
  EXPECT_FALSE(job.maker->has({999, 4, 0}));
  EXPECT_FALSE(job.maker->has({999, 3, 1}));
  EXPECT_EQ(job.maker->after({999, 3, 0}, {0, 4}), std::nullopt);
}

/// A data set whose batches end as they are told to.
class BrokenDataset : public data::Dataset {
 public:
  explicit BrokenDataset(const data::Dataset& like) : like_(like) {}
  std::uint64_t size() const override { return like_.size(); }
  const data::Preprocessing& preprocessing() const override { return like_.preprocessing(); }
  const std::vector<data::FieldShape>& fields() const override { return like_.fields(); }
  const std::string& fingerprint() const override { return like_.fingerprint(); }
  const std::vector<std::uint64_t>& class_counts() const override { return like_.class_counts(); }
  std::string place_of(std::uint64_t sample) const override { return like_.place_of(sample); }
  Result<data::Batch> make_batch(std::span<const std::uint64_t>,
                                 const std::optional<data::Draw>& draw) const override {
    if (draw->step == 0) throw std::bad_alloc();
    throw std::runtime_error("the decoder gave up");
  }

 private:
  const data::Dataset& like_;
};

TEST(BatchMaker, TurnsWhatIsThrownIntoAnError) {
  const ShardJob job;
  const BrokenDataset broken(*job.dataset);
  const BatchMaker maker(job.spec, broken);
  EXPECT_EQ(maker.make({0, 0, 0}).error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(maker.make({1, 0, 0}).error().message, "making a batch: the decoder gave up");
}

}  // namespace
}  // namespace ds::train
