#include "actors/shard/workshop.hpp"

#include <algorithm>
#include <utility>

namespace ds::shard {

/// Gives the bytes of a batch back to the book when its last tensor goes.
class Workshop::Lease {
 public:
  Lease(std::shared_ptr<Desk> desk, std::uint64_t bytes) : desk_(std::move(desk)), bytes_(bytes) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    {
      std::lock_guard lock(desk_->mutex);
      desk_->book.release(bytes_);
    }
    desk_->changed.notify_all();
  }

 private:
  const std::shared_ptr<Desk> desk_;
  const std::uint64_t bytes_;
};

Workshop::Workshop(const train::BatchMaker& maker, Options options, Deliver deliver)
    : maker_(maker), deliver_(std::move(deliver)), desk_(std::make_shared<Desk>(options.budget)) {
  for (std::uint32_t i = 0; i < std::max(options.threads, 1U); ++i) threads_.emplace_back([this] { work(); });
}

Workshop::~Workshop() {
  {
    std::lock_guard lock(desk_->mutex);
    desk_->stopping = true;
  }
  desk_->changed.notify_all();
}

bool Workshop::order(std::uint64_t worker, std::span<const train::MicroBatch> wanted) {
  bool all = true;
  {
    std::lock_guard lock(desk_->mutex);
    for (const train::MicroBatch& which : wanted)
      all &= maker_.has(which) && desk_->book.add({worker, which, maker_.bytes_of(which)});
  }
  desk_->changed.notify_all();
  return all;
}

void Workshop::forget(std::uint64_t worker) {
  std::lock_guard lock(desk_->mutex);
  desk_->book.forget(worker);
}

std::uint64_t Workshop::bytes_out() const {
  std::lock_guard lock(desk_->mutex);
  return desk_->book.bytes_out();
}

void Workshop::work() {
  std::unique_lock lock(desk_->mutex);
  for (;;) {
    std::optional<Order> order;
    desk_->changed.wait(lock, [&] { return desk_->stopping || (order = desk_->book.begin()); });
    if (desk_->stopping) return;
    lock.unlock();
    make(*order);
    lock.lock();
  }
}

void Workshop::make(const Order& order) {
  const auto lease = std::make_shared<Lease>(desk_, order.bytes);
  Result<data::Batch> batch = maker_.make(order.which);
  if (batch) {
    for (auto& [name, tensor] : batch->fields) {
      const std::span<const std::byte> bytes = tensor.bytes.bytes();
      // The memory goes before the lease says so.
      const auto owner = std::make_shared<std::pair<std::shared_ptr<Lease>, Buffer>>(lease, tensor.bytes);
      tensor.bytes = Buffer(owner, bytes);
    }
  }
  deliver_(order, std::move(batch));
}

}  // namespace ds::shard
