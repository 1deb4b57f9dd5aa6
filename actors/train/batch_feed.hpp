#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>

#include "actors/data/batch.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// Which micro-batch of a job: everything about it follows from this.
struct MicroBatch {
  std::uint64_t step = 0;  ///< committed steps before it
  std::uint32_t logical_rank = 0;
  std::uint32_t micro = 0;
  auto operator<=>(const MicroBatch&) const = default;
};

/// Makes batches ahead of need, on a thread of its own.
///
/// At most `kAhead` batches and about `kAheadBytes` wait (one may exceed it); beyond that nothing is made
/// until one is taken. What it was told to expect and is asked for otherwise is made at once, by the caller.
/// One consumer.
class BatchFeed {
 public:
  static constexpr std::size_t kAhead = 8;
  static constexpr std::size_t kAheadBytes = std::size_t{256} << 20;

  using Make = std::function<Result<data::Batch>(const MicroBatch&)>;
  /// The micro-batch that will be wanted after that one, on this worker; none at the end.
  using Next = std::function<std::optional<MicroBatch>(const MicroBatch&)>;

  /// `make` is called on both threads.
  explicit BatchFeed(Make make);
  ~BatchFeed();
  BatchFeed(const BatchFeed&) = delete;
  BatchFeed& operator=(const BatchFeed&) = delete;

  /// From here on expects `first`, then what `next` says of it, and so on. Forgets what was made before.
  void expect(const MicroBatch& first, Next next);
  /// The batch, waiting for it if it is being made. Its successors are made meanwhile.
  Result<data::Batch> take(const MicroBatch& wanted);

 private:
  void run();
  bool has_room() const;

  const Make make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::uint64_t era_ = 0;  ///< counts calls of `expect`
  Next next_;
  std::optional<MicroBatch> coming_;  ///< to be made next
  std::optional<MicroBatch> making_;
  struct Made {
    MicroBatch which;
    Result<data::Batch> batch;
    std::size_t bytes = 0;
  };
  std::deque<Made> made_;
  std::size_t bytes_ = 0;
  std::thread thread_;
};

}  // namespace ds::train
