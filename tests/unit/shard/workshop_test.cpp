#include "actors/shard/workshop.hpp"

#include <gtest/gtest.h>

#include <map>

#include "tests/unit/shard/shard_job.hpp"

namespace ds::shard {
namespace {

using train::MicroBatch;

/// Keeps what a workshop delivers.
struct Shelf {
  std::mutex mutex;
  std::map<MicroBatch, Result<data::Batch>> batches;

  Workshop::Deliver deliver() {
    return [this](const Order& order, Result<data::Batch> batch) {
      std::lock_guard lock(mutex);
      batches.emplace(order.which, std::move(batch));
    };
  }
  std::size_t size() {
    std::lock_guard lock(mutex);
    return batches.size();
  }
};

std::vector<MicroBatch> steps(std::uint64_t first, std::uint64_t count) {
  std::vector<MicroBatch> all;
  for (std::uint64_t step = first; step < first + count; ++step) all.push_back({step, 1, 0});
  return all;
}

TEST(Workshop, MakesTheBatchesThatTheWorkerWouldHaveMade) {
  const ShardJob job;
  Shelf shelf;
  Workshop workshop(*job.maker, {3, 1 << 20}, shelf.deliver());
  EXPECT_TRUE(workshop.order(1, steps(0, 20)));
  ASSERT_TRUE(wait_until([&] { return shelf.size() == 20; }));
  for (const auto& [which, batch] : shelf.batches)
    EXPECT_TRUE(same_batch(batch.value(), job.maker->make(which).value()));
}

TEST(Workshop, StopsAtItsBudgetUntilSomebodyLetsABatchGo) {
  const ShardJob job(100, 16, 4, 100);
  const std::uint64_t bytes = job.maker->bytes_of({0, 1, 0});
  ASSERT_EQ(bytes, 4U * (100 * sizeof(float) + sizeof(std::int64_t)));
  Shelf shelf;
  Workshop workshop(*job.maker, {2, 3 * bytes}, shelf.deliver());
  EXPECT_TRUE(workshop.order(1, steps(0, 6)));
  ASSERT_TRUE(wait_until([&] { return shelf.size() == 3; }));
  EXPECT_EQ(workshop.bytes_out(), 3 * bytes);
  // A single tensor of the batch is enough to hold all of it.
  data::HostTensor label = *shelf.batches.at({0, 1, 0})->find("label");
  {
    std::lock_guard lock(shelf.mutex);
    shelf.batches.erase({0, 1, 0});
  }
  EXPECT_EQ(workshop.bytes_out(), 3 * bytes);
  label = {};
  ASSERT_TRUE(wait_until([&] { return shelf.size() == 3; })) << "room for one more was not used";
  EXPECT_EQ(workshop.bytes_out(), 3 * bytes);
}

TEST(Workshop, RefusesWhatIsNoBatchOfTheJobAndMoreThanAWorkerMayAskFor) {
  const ShardJob job;
  Shelf shelf;
  Workshop workshop(*job.maker, {1, 1}, shelf.deliver());
  for (const MicroBatch& wrong : {MicroBatch{1000, 0, 0}, MicroBatch{0, 4, 0}, MicroBatch{0, 0, 1}})
    EXPECT_FALSE(workshop.order(1, std::vector{wrong}));
  EXPECT_FALSE(workshop.order(1, steps(0, OrderBook::kMostOrders + 2)));
}

TEST(Workshop, DeliversWhatIsWrongWithTheDataAndHoldsNoMemoryForIt) {
  const ShardJob job;
  job.change_file();
  Shelf shelf;
  Workshop workshop(*job.maker, {2, 1}, shelf.deliver());
  EXPECT_TRUE(workshop.order(1, steps(0, 7)));
  ASSERT_TRUE(wait_until([&] { return shelf.size() == 7; }));
  for (const auto& [which, batch] : shelf.batches) {
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error(), job.maker->make(which).error());
    EXPECT_NE(batch.error().message.find("train.csv"), std::string::npos) << batch.error().message;
  }
  EXPECT_TRUE(wait_until([&] { return workshop.bytes_out() == 0; }));
}

TEST(Workshop, MayBeEndedWhileItsBatchesLive) {
  Shelf shelf;
  {
    const ShardJob job;
    Workshop workshop(*job.maker, {2, 1 << 20}, shelf.deliver());
    workshop.order(1, steps(0, 40));
    ASSERT_TRUE(wait_until([&] { return shelf.size() > 3; }));
  }
  EXPECT_EQ(shelf.batches.begin()->second->rows, 4U);
}

}  // namespace
}  // namespace ds::shard
