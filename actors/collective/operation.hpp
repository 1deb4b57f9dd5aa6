#pragma once

#include <memory>

#include "storage/result.hpp"

namespace ds::collective {

/// A collective call in flight. Copies name the same call. Thread-safe.
///
/// It runs by itself, whether or not anybody waits. Dropping the handle does not cancel it: the vectors it
/// was given belong to it until it is done.
class Operation {
 public:
  class State;
  explicit Operation(std::shared_ptr<State> state);

  /// Blocks until the call is done and says how it ended; any number of times, from any thread.
  Result<void> wait() const;
  /// Whether `wait` would not block.
  bool done() const;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace ds::collective
