#include "actors/replica/model_thread.hpp"

#include <utility>

namespace ds::replica {

ModelThread::ModelThread() : thread_([this] { run(); }) {}

ModelThread::~ModelThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  has_work_.notify_all();
  thread_.join();
}

void ModelThread::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
  }
  has_work_.notify_one();
}

void ModelThread::run() {
  while (true) {
    std::function<void()> work;
    {
      std::unique_lock lock(mutex_);
      has_work_.wait(lock, [this] { return stopping_ || !work_.empty(); });
      if (stopping_) return;
      work = std::move(work_.front());
      work_.pop_front();
    }
    work();
  }
}

}  // namespace ds::replica
