#include "actors/shard/order_book.hpp"

namespace ds::shard {

bool OrderBook::add(const Order& order) {
  const Key key{order.which, order.worker};
  if (orders_.contains(key)) return true;
  std::size_t& count = of_worker_[order.worker];
  if (count == kMostOrders) return false;
  ++count;
  orders_.emplace(key, order.bytes);
  return true;
}

void OrderBook::forget(std::uint64_t worker) {
  std::erase_if(orders_, [&](const auto& order) { return order.first.second == worker; });
  of_worker_.erase(worker);
}

std::optional<Order> OrderBook::begin() {
  if (orders_.empty()) return {};
  const auto first = orders_.begin();
  if (bytes_out_ != 0 && bytes_out_ + first->second > budget_) return {};
  const Order order{first->first.second, first->first.first, first->second};
  orders_.erase(first);
  if (--of_worker_[order.worker] == 0) of_worker_.erase(order.worker);
  bytes_out_ += order.bytes;
  return order;
}

void OrderBook::release(std::uint64_t bytes) {
  bytes_out_ -= bytes;
}

}  // namespace ds::shard
