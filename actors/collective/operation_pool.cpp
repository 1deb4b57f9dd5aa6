#include "actors/collective/operation_pool.hpp"

#include <utility>

namespace ds::collective {

void Operation::State::finish(Result<void> result) {
  const std::lock_guard lock(mutex_);
  result_ = std::move(result);
  changed_.notify_all();
}

Result<void> Operation::State::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return result_.has_value(); });
  return *result_;
}

bool Operation::State::done() {
  const std::lock_guard lock(mutex_);
  return result_.has_value();
}

Operation::Operation(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<void> Operation::wait() const {
  return state_->wait();
}

bool Operation::done() const {
  return state_->done();
}

OperationPool::~OperationPool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

void OperationPool::submit(std::function<void()> call) {
  const std::lock_guard lock(mutex_);
  calls_.push_back(std::move(call));
  if (calls_.size() > idle_) threads_.emplace_back([this] { work(); });
  changed_.notify_one();
}

void OperationPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(lock, [&] { return closing_ || !calls_.empty(); });
    --idle_;
    if (calls_.empty()) return;
    std::function<void()> call = std::move(calls_.front());
    calls_.pop_front();
    lock.unlock();
    call();
    call = nullptr;
    lock.lock();
  }
}

}  // namespace ds::collective
