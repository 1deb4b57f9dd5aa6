#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace ds::head {

/// A thread that does what may block (disk), one task after the other, so that no actor ever has to.
class SerialThread {
 public:
  using Task = std::function<void()>;

  explicit SerialThread(std::size_t max_waiting);
  ~SerialThread();  ///< does what is queued, then ends
  SerialThread(const SerialThread&) = delete;
  SerialThread& operator=(const SerialThread&) = delete;

  /// False when `max_waiting` tasks wait already; the task is then dropped.
  bool post(Task task);

 private:
  void run();

  const std::size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace ds::head
