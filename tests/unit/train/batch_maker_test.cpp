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
