#include "actors/train/state_copier.hpp"

#include <spdlog/spdlog.h>

#include <new>
#include <utility>

namespace ds::train {

StateCopier::StateCopier() : thread_([this] { run(); }) {}

StateCopier::~StateCopier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StateCopier::start(Make make, Use use) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !order_; });
  order_ = Order{std::move(make), std::move(use)};
  changed_.notify_all();
}

void StateCopier::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !order_; });
}

void StateCopier::give_up() {
  if (const Result<void> copied = finish(); !copied)
    spdlog::warn("a checkpoint was not made, {}: {}; training goes on from another state",
                 copied.error().message, copied.error().hint);
}

Result<void> StateCopier::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !order_; });
  if (!std::exchange(failed_, false)) return {};
  return fail(ErrorCode::resource_exhausted, "no memory for a copy of the training state",
              "raise resources.memory, or save checkpoints more rarely (checkpoint.every)");
}

void StateCopier::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || order_; });
    if (!order_) return;
    lock.unlock();
    bool copied = true;
    try {
      order_->use(order_->make());
    } catch (const std::bad_alloc&) {
      copied = false;
    }
    lock.lock();
    order_.reset();
    if (!copied) failed_ = true;
    changed_.notify_all();
  }
}

}  // namespace ds::train
