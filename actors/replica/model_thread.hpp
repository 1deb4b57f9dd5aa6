#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace ds::replica {

/// The thread that a model lives on: it is loaded there and runs there, one thing after another. What waits
/// is what the replica's actor gives it, a batch at a time.
class ModelThread {
 public:
  ModelThread();
  ~ModelThread();  ///< after what is under way; what waits is dropped
  ModelThread(const ModelThread&) = delete;
  ModelThread& operator=(const ModelThread&) = delete;

  void post(std::function<void()> work);  ///< any thread

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::function<void()>> work_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace ds::replica
