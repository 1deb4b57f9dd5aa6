#include "actors/train/batch_feed.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

namespace ds::train {
namespace {

/// A batch that tells which one it is.
data::Batch batch_of(const MicroBatch& which, std::size_t bytes = 8) {
  data::Batch batch;
  batch.rows = which.step;
  batch.fields.push_back({"x", {data::Element::uint8, {1}, Buffer::copy_of(std::string(bytes, 'x'))}});
  return batch;
}

std::optional<MicroBatch> next_of(const MicroBatch& one) {
  return one.step == 99 ? std::nullopt : std::optional(MicroBatch{one.step + 1, one.logical_rank, one.micro});
}

TEST(BatchFeed, GivesEveryBatchOnceAndInOrder) {
  std::mutex mutex;
  std::multiset<std::uint64_t> made;
  BatchFeed feed([&](const MicroBatch& which) {
    std::lock_guard lock(mutex);
    made.insert(which.step);
    return batch_of(which);
  });
  feed.expect({0, 0, 0}, next_of);
  for (std::uint64_t step = 0; step < 100; ++step) {
    const auto batch = feed.take({step, 0, 0});
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->rows, step);
  }
  EXPECT_EQ(made.size(), 100U);
}

TEST(BatchFeed, MakesWhatNobodyExpectedAtOnce) {
  BatchFeed feed([&](const MicroBatch& which) { return batch_of(which); });
  EXPECT_EQ(feed.take({7, 1, 0})->rows, 7U);
  feed.expect({0, 0, 0}, next_of);
  EXPECT_EQ(feed.take({50, 3, 0})->rows, 50U);
  EXPECT_EQ(feed.take({51, 0, 0})->rows, 51U);
}

TEST(BatchFeed, HoldsOnlySoMuch) {
  for (const std::size_t bytes : {std::size_t{8}, BatchFeed::kAheadBytes / 2 + 1}) {
    std::atomic<std::size_t> made{0};
    BatchFeed feed([&](const MicroBatch& which) {
      ++made;
      return batch_of(which, bytes);
    });
    feed.expect({0, 0, 0}, next_of);
    const std::size_t most = bytes == 8 ? BatchFeed::kAhead : 2;
    std::size_t taken = 0;
    for (std::uint64_t step = 0; step < 20; ++step) {
      EXPECT_EQ(feed.take({step, 0, 0})->rows, step);
      ++taken;
      EXPECT_LE(made.load(), taken + most + 1);
    }
  }
}

TEST(BatchFeed, HandsErrorsToWhoTakes) {
  BatchFeed feed([&](const MicroBatch& which) -> Result<data::Batch> {
    if (which.step == 3) return fail(ErrorCode::invalid_argument, "record 3 is bad");
    return batch_of(which);
  });
  feed.expect({0, 0, 0}, next_of);
  for (std::uint64_t step = 0; step < 6; ++step) {
    const auto batch = feed.take({step, 0, 0});
    EXPECT_EQ(batch.has_value(), step != 3);
    if (!batch) {
      EXPECT_EQ(batch.error().message, "record 3 is bad");
    }
  }
}

TEST(BatchFeed, ForgetsWhatWasExpectedBefore) {
  BatchFeed feed([&](const MicroBatch& which) { return batch_of(which); });
  for (std::uint32_t round = 0; round < 50; ++round) {
    feed.expect({round, round, 0}, next_of);
    for (std::uint64_t step = round; step < round + 3U; ++step)
      EXPECT_EQ(feed.take({step, round, 0})->rows, step);
  }
}

}  // namespace
}  // namespace ds::train
