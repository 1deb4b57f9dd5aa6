#pragma once

#include <thread>

namespace ds::tests {

/// Stops and continues a process in turn, 20 ms each, for two seconds or until this goes: a process that gets
/// half of a processor, in jerks. The last signal is always SIGCONT, and none goes to a process that has
/// taken over the number of one that ended.
class SlowDown {
 public:
  explicit SlowDown(int pid);
  ~SlowDown();
  SlowDown(const SlowDown&) = delete;
  SlowDown& operator=(const SlowDown&) = delete;

  /// False when the process was gone before anything could be done to it.
  bool has_begun() const { return process_ >= 0; }
  /// Waits until the two seconds are over.
  void wait();

 private:
  const int process_;  ///< a descriptor, which no other process can have
  std::jthread thread_;
};

}  // namespace ds::tests
