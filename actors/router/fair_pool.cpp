#include "actors/router/fair_pool.hpp"

#include <algorithm>
#include <utility>

namespace ds::router {

FairPool::FairPool(std::size_t threads, Bounds bounds) : bounds_(bounds) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

FairPool::~FairPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool FairPool::post(const std::string& name, Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return false;
    auto line = std::ranges::find(lines_, name, &Line::name);
    // One task of each name has a place however many of others wait.
    if (line != lines_.end() && waiting_ >= bounds_.all) return false;
    if (line == lines_.end()) line = lines_.insert(line, {name, {}});
    if (line->tasks.size() >= bounds_.each) return false;
    line->tasks.push_back(std::move(task));
    ++waiting_;
  }
  wake_.notify_one();
  return true;
}

void FairPool::run() {
  while (true) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || waiting_ > 0; });
      if (waiting_ == 0) return;
      auto line = lines_.begin();
      task = std::move(line->tasks.front());
      line->tasks.pop_front();
      --waiting_;
      if (line->tasks.empty()) {
        lines_.erase(line);
      } else {
        lines_.splice(lines_.end(), lines_, line);
      }
    }
    task();
  }
}

}  // namespace ds::router
