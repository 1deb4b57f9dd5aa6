#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "actors/train/batch_source.hpp"

namespace ds::train {

/// Makes batches ahead of need, on a thread of its own.
///
/// At most `kAhead` batches and about `kAheadBytes` wait (one may exceed it); beyond that nothing is made
/// until one is taken. What it was told to expect and is asked for otherwise is made at once, by the caller.
/// One consumer.
class BatchFeed final : public BatchSource {
 public:
  static constexpr std::size_t kAhead = 8;
  static constexpr std::size_t kAheadBytes = std::size_t{256} << 20;

  using Make = std::function<Result<data::Batch>(const MicroBatch&)>;

  /// `make` is called on both threads; it must not throw.
  explicit BatchFeed(Make make);
  ~BatchFeed() override;
  BatchFeed(const BatchFeed&) = delete;
  BatchFeed& operator=(const BatchFeed&) = delete;

  void expect(const MicroBatch& first, Next next) override;
  Result<data::Batch> take(const MicroBatch& wanted) override;

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
