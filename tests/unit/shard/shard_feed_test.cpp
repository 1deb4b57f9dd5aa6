#include "actors/shard/shard_feed.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>

#include "actors/shard/workshop.hpp"
#include "tests/unit/shard/shard_job.hpp"

namespace ds::shard {
namespace {

using train::MicroBatch;

/// Workshops of this process as shards of a feed: what is said goes straight to them, what they make to the
/// line.
class ShardFeedTest : public ::testing::Test {
 protected:
  ShardFeedTest() : job_(200, 16, 4, 50) {}

  struct Shard {
    std::unique_ptr<Workshop> workshop;
    std::atomic<bool> stopped{false};
    std::atomic<std::uint64_t> made{0};
  };

  void add_shard(std::uint64_t number, const train::BatchMaker& maker) {
    std::lock_guard lock(mutex_);
    auto shard = std::make_shared<Shard>();
    shard->workshop = std::make_unique<Workshop>(
        maker, Workshop::Options{1, 1 << 20},
        [this, number, to = shard.get()](const Order& order, Result<data::Batch> batch) {
          ++to->made;
          if (!to->stopped) line_.bring(number, order.which, std::move(batch));
        });
    shards_[number] = shard;
  }

  std::vector<std::uint64_t> numbers() {
    std::lock_guard lock(mutex_);
    std::vector<std::uint64_t> all;
    for (const auto& [number, shard] : shards_) all.push_back(number);
    return all;
  }

  ShardFeed::Tell tell() {
    return [this](const FetchPlan::Ask& ask) {
      std::lock_guard lock(mutex_);
      const auto shard = shards_.find(ask.shard);
      if (shard == shards_.end()) return;
      if (ask.forget) shard->second->workshop->forget(1);
      shard->second->workshop->order(1, ask.wanted);
    };
  }

  /// Takes what a worker with all ranks needs for some steps and compares.
  void take(ShardFeed& feed, std::uint64_t first, std::uint64_t steps) {
    const collective::RankRange all{0, 4};
    auto which = job_.maker->first_at(first, all);
    for (; which && which->step < first + steps; which = job_.maker->after(*which, all)) {
      const auto batch = feed.take(*which);
      ASSERT_TRUE(batch) << batch.error().message;
      EXPECT_TRUE(same_batch(*batch, job_.maker->make(*which).value())) << which->step;
    }
  }

  void expect(ShardFeed& feed, std::uint64_t step) {
    const collective::RankRange all{0, 4};
    feed.expect(*job_.maker->first_at(step, all),
                [this, all](const MicroBatch& one) { return job_.maker->after(one, all); });
  }

  ShardJob job_;
  /// Ends them while the feed is still there.
  void end_shards() {
    std::map<std::uint64_t, std::shared_ptr<Shard>> gone;  // after the lock: their threads may need it
    std::lock_guard lock(mutex_);
    gone.swap(shards_);
  }

  /// So patient that no busy machine makes a shard look slow.
  static constexpr FetchPlan::Limits kPatient{.least_patience = std::chrono::seconds(60),
                                              .most_patience = std::chrono::seconds(60)};

  ShardLine line_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Shard>> shards_;
};

TEST_F(ShardFeedTest, TakesFromShardsWhatTheWorkerWouldHaveMade) {
  add_shard(1, *job_.maker);
  add_shard(2, *job_.maker);
  line_.set_shards(numbers());  // before there is a feed
  ShardFeed feed(*job_.maker, line_, tell(), ShardFeed::Memory::mapped, kPatient);
  expect(feed, 0);
  take(feed, 0, 60);
  EXPECT_GT(feed.counts().from_shards, 2 * feed.counts().made_here) << feed.counts().made_here;
  EXPECT_GT(shards_.at(1)->made, 0U);
  EXPECT_GT(shards_.at(2)->made, 0U);
  expect(feed, 500);
  take(feed, 500, 10);
  end_shards();
}

TEST_F(ShardFeedTest, MakesBatchesItselfWithoutShards) {
  ShardFeed feed(*job_.maker, line_, tell(), ShardFeed::Memory::mapped);
  expect(feed, 0);
  take(feed, 0, 30);
  EXPECT_EQ(feed.counts().from_shards, 0U);
}

TEST_F(ShardFeedTest, GoesOnWhenShardsAreSilent) {
  add_shard(1, *job_.maker);
  add_shard(2, *job_.maker);
  for (auto& [number, shard] : shards_) shard->stopped = true;
  line_.set_shards(numbers());
  ShardFeed feed(*job_.maker, line_, tell(), ShardFeed::Memory::mapped);
  expect(feed, 0);
  take(feed, 0, 30);
  EXPECT_EQ(feed.counts().from_shards, 0U);
  end_shards();
}

TEST_F(ShardFeedTest, GivesTheSameBatchesWhileShardsComeAndGo) {
  ShardFeed feed(*job_.maker, line_, tell(), ShardFeed::Memory::copied, kPatient);
  std::atomic<bool> done{false};
  std::thread trouble([&] {
    std::mt19937_64 random(11);
    for (std::uint64_t number = 1; !done; ++number) {
      add_shard(number, *job_.maker);
      line_.set_shards(numbers());
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      if (number < 3) continue;
      std::shared_ptr<Shard> gone;
      {
        std::lock_guard lock(mutex_);
        gone = shards_.begin()->second;
        shards_.erase(shards_.begin());
      }
      line_.lose(number - 2);
    }
  });
  expect(feed, 0);
  take(feed, 0, 200);
  done = true;
  trouble.join();
  EXPECT_GT(feed.counts().from_shards, 0U);
  end_shards();
}

TEST_F(ShardFeedTest, TellsWhatIsWrongWithTheDataAsIfThereWereNoShards) {
  add_shard(1, *job_.maker);
  line_.set_shards(numbers());
  ShardFeed feed(*job_.maker, line_, tell(), ShardFeed::Memory::mapped, kPatient);
  expect(feed, 0);
  take(feed, 0, 5);
  job_.change_file();
  std::optional<Error> error;
  const collective::RankRange all{0, 4};
  for (auto which = job_.maker->first_at(5, all); !error && which->step < 50;
       which = job_.maker->after(*which, all)) {
    const auto batch = feed.take(*which);
    if (!batch) error = batch.error();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(*error, job_.maker->make({5, 0, 0}).error());
  end_shards();
}

TEST_F(ShardFeedTest, CountsBadRecordsWhoeverFindsThem) {
  const ShardJob bad(200, 16, 4, 50, 77);
  add_shard(1, *bad.maker);
  line_.set_shards(numbers());
  ShardFeed feed(*bad.maker, line_, tell(), ShardFeed::Memory::mapped, kPatient);
  const collective::RankRange all{0, 4};
  feed.expect({0, 0, 0}, [&](const MicroBatch& one) { return bad.maker->after(one, all); });
  std::uint64_t skipped = 0;
  std::string where;
  for (auto which = bad.maker->first_at(0, all); which->step < 26; which = bad.maker->after(*which, all)) {
    const auto batch = feed.take(*which);
    ASSERT_TRUE(batch) << batch.error().message;
    skipped += batch->skipped;
    if (batch->skipped > 0) where = batch->first_skipped;
  }
  EXPECT_EQ(skipped, 2U) << "one in each of two epochs";
  EXPECT_NE(where.find("train.csv:78"), std::string::npos) << where;
  EXPECT_GT(feed.counts().from_shards, 0U);
  end_shards();
}

TEST_F(ShardFeedTest, UsesNoBatchOfAShardThatReadsOtherData) {
  const ShardJob other(200, 16, 4, 51);
  add_shard(1, *other.maker);
  line_.set_shards(numbers());
  ShardFeed feed(*job_.maker, line_, tell(), ShardFeed::Memory::mapped);
  expect(feed, 0);
  take(feed, 0, 20);
  EXPECT_EQ(feed.counts().from_shards, 0U);
  end_shards();
}

TEST_F(ShardFeedTest, UsesNoBatchOfOtherSamples) {
  ShardLine line;
  ShardFeed feed(
      *job_.maker, line, [](const FetchPlan::Ask&) {}, ShardFeed::Memory::mapped);
  line.set_shards({1});
  expect(feed, 0);
  const data::Batch right = job_.maker->make({0, 1, 0}).value();
  data::Batch wrong = right;
  wrong.samples.back() += 1;
  line.bring(1, {0, 1, 0}, wrong);
  const auto taken = feed.take({0, 1, 0});
  ASSERT_TRUE(taken);
  EXPECT_TRUE(same_batch(*taken, right));
  EXPECT_EQ(feed.counts().from_shards, 0U);
}

TEST_F(ShardFeedTest, UsesNoBatchWhoseNumbersWrapAround) {
  ShardLine line;
  ShardFeed feed(
      *job_.maker, line, [](const FetchPlan::Ask&) {}, ShardFeed::Memory::mapped);
  line.set_shards({1});
  expect(feed, 0);
  const data::Batch right = job_.maker->make({0, 1, 0}).value();
  data::Batch wrong = right;  // as many bytes and, modulo 2^64, as many records
  constexpr std::uint64_t kTurn = std::uint64_t{1} << 61;
  wrong.rows += kTurn;
  wrong.skipped -= kTurn;
  for (auto& [name, tensor] : wrong.fields) {
    tensor.shape.front() += static_cast<std::int64_t>(kTurn);
    std::uint64_t bytes = data::bytes_of(tensor.element);
    for (const std::int64_t extent : tensor.shape) bytes *= static_cast<std::uint64_t>(extent);
    ASSERT_EQ(bytes, tensor.bytes.size());
  }
  line.bring(1, {0, 1, 0}, wrong);
  const auto taken = feed.take({0, 1, 0});
  ASSERT_TRUE(taken);
  EXPECT_TRUE(same_batch(*taken, right));
  EXPECT_EQ(feed.counts().from_shards, 0U);
}

TEST_F(ShardFeedTest, LeavesBatchesWhereTheyLieOrCopiesThemAsItIsTold) {
  for (const auto memory : {ShardFeed::Memory::mapped, ShardFeed::Memory::copied}) {
    ShardLine line;
    ShardFeed feed(
        *job_.maker, line, [](const FetchPlan::Ask&) {}, memory);
    line.set_shards({1});
    expect(feed, 0);
    EXPECT_TRUE(feed.take({0, 0, 0}));  // to learn how long it takes
    data::Batch made = job_.maker->make({0, 1, 0}).value();
    const std::byte* lies = made.fields.front().second.bytes.bytes().data();
    line.bring(1, {0, 1, 0}, made);
    const auto taken = feed.take({0, 1, 0});
    ASSERT_TRUE(taken);
    const std::byte* now = taken->fields.front().second.bytes.bytes().data();
    EXPECT_EQ(now == lies, memory == ShardFeed::Memory::mapped);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(now) % 64, 0U);
    EXPECT_TRUE(same_batch(*taken, made));
  }
}

TEST_F(ShardFeedTest, CopiesOnlyWhatDoesNotLieAsATensorMust) {
  ShardLine line;
  ShardFeed feed(
      *job_.maker, line, [](const FetchPlan::Ask&) {}, ShardFeed::Memory::mapped);
  line.set_shards({1});
  expect(feed, 0);
  EXPECT_TRUE(feed.take({0, 0, 0}));
  const data::Batch made = job_.maker->make({0, 1, 0}).value();
  data::Batch shifted = made;
  Buffer& bytes = shifted.fields.front().second.bytes;
  bytes = Buffer::copy_of("xxx" + std::string(bytes.text())).slice(3, bytes.size());
  line.bring(1, {0, 1, 0}, shifted);
  const auto taken = feed.take({0, 1, 0});
  ASSERT_TRUE(taken);
  EXPECT_TRUE(same_batch(*taken, made));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(taken->fields.front().second.bytes.bytes().data()) % 64, 0U);
}

}  // namespace
}  // namespace ds::shard
