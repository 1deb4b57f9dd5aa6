#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ds::router {

/// Threads for work that takes long: what bears one name is begun in its order, and names take turns, so that
/// one model's large requests don't keep another's waiting.
class FairPool {
 public:
  using Task = std::function<void()>;
  struct Bounds {
    std::size_t each = 0;  ///< tasks of one name that wait
    std::size_t all = 0;
  };

  FairPool(std::size_t threads, Bounds bounds);
  ~FairPool();  ///< does what is queued, then ends
  FairPool(const FairPool&) = delete;
  FairPool& operator=(const FairPool&) = delete;

  /// False where no more may wait, of this name or, while some of this name wait, of all; the task is then
  /// dropped. Any thread. Tasks don't throw.
  bool post(const std::string& name, Task task);

 private:
  struct Line {
    std::string name;
    std::deque<Task> tasks;  ///< never empty
  };
  void run();

  const Bounds bounds_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Line> lines_;  ///< in order of their turns
  std::size_t waiting_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ds::router
