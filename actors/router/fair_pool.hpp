#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "actors/router/work_line.hpp"

namespace ds::router {

/// Threads for work that takes long, in two lanes (one without `Bounds::quick`) with threads of their own:
/// what costs little never waits for what costs much, nor one name's work for all that another has. Work
/// whose client has gone, or whose time is over, is given up: while it waits within a twentieth of a second
/// or so; while it runs only for its time.
class FairPool {
 public:
  using Task = std::function<void()>;
  struct Bounds {
    std::size_t each = 0;  ///< tasks of one name that wait, in each lane
    std::size_t all = 0;
    std::size_t quick = std::numeric_limits<std::size_t>::max();  ///< what costs more goes to the other lane
  };

  /// So many threads for each lane.
  FairPool(std::size_t threads, Bounds bounds);
  ~FairPool();  ///< does what is queued, then ends
  FairPool(const FairPool&) = delete;
  FairPool& operator=(const FairPool&) = delete;

  /// False where no more may wait, of this name or, while some of this name wait, of all; it is then neither
  /// run nor given up. Any thread. What costs less takes the place of its name's costliest, which is given up
  /// on this thread.
  bool post(WorkPtr work);
  /// What costs nothing, and is never given up. Tasks don't throw.
  bool post(const std::string& name, Task task);

 private:
  struct Lane {
    WorkLine line;
    std::condition_variable wake;
  };
  void run(Lane& lane);
  void look(std::unique_lock<std::mutex>& lock);

  const std::size_t quick_cost_;
  std::mutex mutex_;  ///< guards what follows, but for the threads
  Lane quick_, slow_;
  std::vector<WorkPtr> running_;
  Work::Clock::time_point next_look_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ds::router
