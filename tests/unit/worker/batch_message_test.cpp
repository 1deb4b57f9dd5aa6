#include "actors/worker/batch_message.hpp"

#include <gtest/gtest.h>

#include "tests/unit/shard/shard_job.hpp"

namespace ds::worker {
namespace {

using shard::same_batch;

TEST(BatchMessage, CarriesAllOfABatchWithoutCopyingIt) {
  shard::ShardJob job(100, 16, 4, 30, 50);
  job.spec.data.on_bad_record.skip = true;
  job.open();
  std::uint64_t skipped = 0;
  for (std::uint64_t step = 0; step < 7; ++step) {
    for (std::uint32_t rank = 0; rank < 4; ++rank) {
      const train::MicroBatch which{step, rank, 0};
      const auto batch = job.maker->make(which);
      ASSERT_TRUE(batch);
      const auto message = to_message(which, batch);
      EXPECT_EQ(to_micro_batch(message.name), which);
      const auto back = to_batch(message);
      ASSERT_TRUE(back);
      EXPECT_TRUE(same_batch(*batch, *back));
      EXPECT_EQ(back->first_skipped, batch->first_skipped);
      EXPECT_EQ(back->samples, batch->samples);
      EXPECT_EQ(back->fields[0].second.bytes.bytes().data(), batch->fields[0].second.bytes.bytes().data());
      skipped += back->skipped;
    }
  }
  EXPECT_EQ(skipped, 1U) << "the bad record did not travel along";
}

TEST(BatchMessage, CarriesWhyThereIsNoBatchAndRefusesElementsThatThereAreNot) {
  const train::MicroBatch which{1, 2, 3};
  auto message = to_message(which, fail(ErrorCode::invalid_argument, "train.csv:7: no number"));
  EXPECT_EQ(to_micro_batch(message.name), which);
  EXPECT_EQ(to_batch(message).error().message, "train.csv:7: no number");
  message.error.clear();
  message.fields.push_back({"x", 3, {1}, {}});
  EXPECT_EQ(to_batch(message).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace ds::worker
