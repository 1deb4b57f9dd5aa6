#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "actors/shard/fetch_plan.hpp"
#include "actors/train/batch_maker.hpp"

namespace ds::shard {

class ShardLine;

/// A worker's batches, made by data shards where it can have them and by itself where not. See `FetchPlan`.
///
/// The trainer takes; a thread of its own makes batches ahead only while no shard is usable. News of the
/// shards comes through the line, on any thread.
class ShardFeed final : public train::BatchSource {
 public:
  /// Says something to a shard. Called under the feed's lock, on any thread: must neither wait nor call back.
  using Tell = std::function<void(const FetchPlan::Ask&)>;

  /// How the batches of shards are used.
  enum class Memory : std::uint8_t {
    mapped,  ///< where they lie: whoever takes them only reads
    copied,  ///< into memory that may be written to
  };

  /// `maker` and `line` must outlive it; `line` has one feed at a time.
  ShardFeed(const train::BatchMaker& maker, ShardLine& line, Tell tell, Memory memory,
            FetchPlan::Limits limits = {});
  ~ShardFeed() override;
  ShardFeed(const ShardFeed&) = delete;
  ShardFeed& operator=(const ShardFeed&) = delete;

  void expect(const train::MicroBatch& first, Next next) override;
  Result<data::Batch> take(const train::MicroBatch& wanted) override;

  /// Batches that came in time to be of use, by who made them.
  struct Counts {
    std::uint64_t from_shards = 0, made_here = 0;
  };
  Counts counts() const;

 private:
  friend class ShardLine;

  // What the line brings.
  void set_shards(const std::vector<std::uint64_t>& shards);
  void on_lost(std::uint64_t shard);
  void on_batch(std::uint64_t shard, const train::MicroBatch& which, Result<data::Batch> batch);

  void run();
  Result<data::Batch> make_timed(const train::MicroBatch& which);
  void say_what_is_due();
  static FetchPlan::Time now();

  const train::BatchMaker& maker_;
  ShardLine& line_;
  const Tell tell_;
  const Memory memory_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  FetchPlan plan_;
  Counts counts_;
  bool stopping_ = false;
  std::thread thread_;
};

/// Where news of the data shards arrives, whether somebody trains or not: a feed that comes later hears of
/// the shards that there are then. Thread-safe.
class ShardLine {
 public:
  /// All shards that there are, by number (never 0).
  void set_shards(std::vector<std::uint64_t> shards);
  /// The shard's process is gone.
  void lose(std::uint64_t shard);
  /// Of the feed that there is.
  std::optional<ShardFeed::Counts> counts();
  /// What a shard has made, or why it could not.
  void bring(std::uint64_t shard, const train::MicroBatch& which, Result<data::Batch> batch);

 private:
  friend class ShardFeed;
  void attach(ShardFeed* feed);
  void detach();

  std::mutex mutex_;  ///< before the feed's
  std::vector<std::uint64_t> shards_;
  ShardFeed* feed_ = nullptr;
};

}  // namespace ds::shard
