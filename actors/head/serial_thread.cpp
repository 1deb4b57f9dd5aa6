#include "actors/head/serial_thread.hpp"

#include <utility>

namespace ds::head {

SerialThread::SerialThread(std::size_t max_waiting) : max_waiting_(max_waiting), thread_([this] { run(); }) {}

SerialThread::~SerialThread() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool SerialThread::post(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (ending_ || tasks_.size() >= max_waiting_) return false;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
  return true;
}

void SerialThread::run() {
  while (true) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace ds::head
