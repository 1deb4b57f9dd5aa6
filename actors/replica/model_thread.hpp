#pragma once

#include <functional>
#include <memory>
#include <thread>

namespace ds::replica {

/// The thread that a model lives on: it is loaded there and runs there, one thing after another. What waits
/// is what the replica's actor gives it, a batch at a time.
class ModelThread {
 public:
  ModelThread();
  /// What waits is dropped. Waits for what is under way, unless that is what ends it.
  ~ModelThread();
  ModelThread(const ModelThread&) = delete;
  ModelThread& operator=(const ModelThread&) = delete;

  void post(std::function<void()> work);  ///< any thread

 private:
  struct Line;

  const std::shared_ptr<Line> line_;
  std::thread thread_;
};

}  // namespace ds::replica
