#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "actors/head/serial_thread.hpp"

namespace ds::head::test {

/// What a head's threads have to do: done when the test says so, or lost with the head.
class HeldTasks final : public TaskQueue {
 public:
  bool post(Task task) override {
    tasks_.push_back(std::move(task));
    return true;
  }
  bool run_one() {
    if (tasks_.empty()) return false;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }
  std::size_t waiting() const { return tasks_.size(); }
  void drop() { tasks_.clear(); }

 private:
  std::deque<Task> tasks_;
};

}  // namespace ds::head::test
