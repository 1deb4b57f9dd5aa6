#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "actors/shard/order_book.hpp"
#include "actors/train/batch_maker.hpp"

namespace ds::shard {

/// The threads of a data shard that make batches to order.
///
/// It holds `budget` bytes of batches at most, from when one is begun until the last owner of its tensors,
/// in this process or in one that they were lent to, lets go: nothing more is made meanwhile. Methods: any
/// thread.
class Workshop {
 public:
  /// Called on a thread of the workshop, one batch or error for each order that was not dropped. Must not
  /// throw, and not wait for the workshop.
  using Deliver = std::function<void(const Order&, Result<data::Batch>)>;

  struct Options {
    std::uint32_t threads = 1;
    std::uint64_t budget = std::uint64_t{512} << 20;
  };

  /// `maker` must outlive it; what it has made may.
  Workshop(const train::BatchMaker& maker, Options options, Deliver deliver);
  ~Workshop();  ///< drops what is not begun
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  /// False when one of them is no batch of the job, or the worker has too many orders; the others are taken.
  bool order(std::uint64_t worker, std::span<const train::MicroBatch> wanted);
  void forget(std::uint64_t worker);

  /// Bytes of batches that somebody still has.
  std::uint64_t bytes_out() const;

 private:
  /// Outlives the workshop: batches may be let go later.
  struct Desk {
    explicit Desk(std::uint64_t budget) : book(budget) {}
    std::mutex mutex;
    std::condition_variable changed;
    OrderBook book;
    bool stopping = false;
  };
  class Lease;

  void work();
  void make(const Order& order);

  const train::BatchMaker& maker_;
  const Deliver deliver_;
  const std::shared_ptr<Desk> desk_;
  std::vector<std::jthread> threads_;
};

}  // namespace ds::shard
