#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace ds::head {

/// Does what may block (disk), one task after the other, so that no actor ever has to.
class TaskQueue {
 public:
  using Task = std::function<void()>;

  virtual ~TaskQueue() = default;
  /// False when too many tasks wait already; the task is then dropped.
  virtual bool post(Task task) = 0;
};

/// By a thread of its own.
class SerialThread final : public TaskQueue {
 public:
  explicit SerialThread(std::size_t max_waiting);
  ~SerialThread() override;  ///< does what is queued, then ends
  SerialThread(const SerialThread&) = delete;
  SerialThread& operator=(const SerialThread&) = delete;

  bool post(Task task) override;  ///< false when `max_waiting` tasks wait

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
