#include "actors/train/batch_feed.hpp"

#include <utility>

namespace ds::train {
namespace {

std::size_t bytes_of(const Result<data::Batch>& batch) {
  std::size_t bytes = 0;
  if (batch) {
    for (const auto& [name, tensor] : batch->fields) bytes += tensor.bytes.size();
  }
  return bytes;
}

}  // namespace

BatchFeed::BatchFeed(Make make) : make_(std::move(make)), thread_([this] { run(); }) {}

BatchFeed::~BatchFeed() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BatchFeed::expect(const MicroBatch& first, Next next) {
  {
    std::lock_guard lock(mutex_);
    ++era_;
    coming_ = first;
    next_ = std::move(next);
    made_.clear();
    bytes_ = 0;
  }
  changed_.notify_all();
}

bool BatchFeed::has_room() const {
  return made_.size() < kAhead && (made_.empty() || bytes_ < kAheadBytes);
}

Result<data::Batch> BatchFeed::take(const MicroBatch& wanted) {
  std::unique_lock lock(mutex_);
  const auto is_coming = [&] {
    return making_ == wanted || (coming_ && *coming_ == wanted && made_.empty());
  };
  while (true) {
    // What was passed over will not be asked for again.
    while (!made_.empty() && made_.front().which < wanted) {
      bytes_ -= made_.front().bytes;
      made_.pop_front();
    }
    if (!made_.empty() && made_.front().which == wanted) {
      Result<data::Batch> batch = std::move(made_.front().batch);
      bytes_ -= made_.front().bytes;
      made_.pop_front();
      changed_.notify_all();
      return batch;
    }
    if (!is_coming()) break;
    changed_.notify_all();
    changed_.wait(lock);
  }
  lock.unlock();
  return make_(wanted);
}

void BatchFeed::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || (coming_ && has_room()); });
    if (stopping_) return;
    const std::uint64_t era = era_;
    const MicroBatch which = *coming_;
    coming_ = next_(which);
    making_ = which;
    lock.unlock();
    Result<data::Batch> batch = make_(which);
    lock.lock();
    making_.reset();
    if (era == era_) {
      const std::size_t bytes = bytes_of(batch);
      bytes_ += bytes;
      made_.push_back({which, std::move(batch), bytes});
    }
    changed_.notify_all();
  }
}

}  // namespace ds::train
