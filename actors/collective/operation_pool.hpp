#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "actors/collective/operation.hpp"

namespace ds::collective {

/// Where a call in flight says how it ended.
class Operation::State {
 public:
  void finish(Result<void> result);
  Result<void> wait();
  bool done();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Result<void>> result_;
};

/// Threads for calls in flight: one each, for a call waits for other members, which may have begun with
/// another one. Made when needed, as many as calls were ever in flight at once; who submits bounds that.
/// Thread-safe.
class OperationPool {
 public:
  OperationPool() = default;
  ~OperationPool();  ///< waits for all calls
  OperationPool(const OperationPool&) = delete;
  OperationPool& operator=(const OperationPool&) = delete;

  void submit(std::function<void()> call);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> calls_;
  std::size_t idle_ = 0;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ds::collective
