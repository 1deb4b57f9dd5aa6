#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "actors/train/batch_source.hpp"

namespace ds::shard {

/// A micro-batch that a worker has asked a data shard for.
struct Order {
  std::uint64_t worker = 0;
  train::MicroBatch which;
  std::uint64_t bytes = 0;  ///< of its tensors
  bool operator==(const Order&) const = default;
};

/// What a data shard still has to make, and whether it may: the earliest steps first, because workers go
/// through the steps together; and no more than `budget` bytes at a time that were made and that nobody has
/// let go yet. One batch alone may be larger. Pure; not thread-safe.
class OrderBook {
 public:
  static constexpr std::size_t kMostOrders = 64;  ///< of a worker

  explicit OrderBook(std::uint64_t budget) : budget_(budget) {}

  /// False when the worker has `kMostOrders` already; the order is not taken then. Asking twice is asking
  /// once.
  bool add(const Order& order);
  /// Drops what is not begun of the worker's.
  void forget(std::uint64_t worker);
  /// The order to make next, if there is one and memory for it; its bytes count until `release`.
  std::optional<Order> begin();
  /// A batch's memory is free again, or it was never made.
  void release(std::uint64_t bytes);

  std::size_t waiting() const { return orders_.size(); }
  std::uint64_t bytes_out() const { return bytes_out_; }

 private:
  using Key = std::pair<train::MicroBatch, std::uint64_t>;

  const std::uint64_t budget_;
  std::map<Key, std::uint64_t> orders_;             ///< bytes, by micro-batch and worker
  std::map<std::uint64_t, std::size_t> of_worker_;  ///< how many
  std::uint64_t bytes_out_ = 0;
};

}  // namespace ds::shard
