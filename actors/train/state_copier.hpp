#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "actors/train/session.hpp"

namespace ds::train {

/// Copies states beside the work that comes before they change, on a thread of its own. One at a time; used
/// by one thread.
class StateCopier {
 public:
  using Make = std::function<StateImage()>;
  using Use = std::function<void(StateImage)>;

  StateCopier();
  ~StateCopier();  ///< after the copy that is under way
  StateCopier(const StateCopier&) = delete;
  StateCopier& operator=(const StateCopier&) = delete;

  /// Calls `make` and then `use` with what it made, on the copier's thread; `use` waits for nobody. What
  /// `make` reads stays as it is until `wait` or `finish` has returned.
  void start(Make make, Use use);

  /// Until `use` is done.
  void wait();
  /// Likewise, when what was copied no longer matters: a copy that found no memory is logged and fails
  /// nothing.
  void give_up();
  /// Likewise; fails once when there was no memory for a copy.
  Result<void> finish();

 private:
  struct Order {
    Make make;
    Use use;
  };
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Order> order_;  ///< until it is used
  bool failed_ = false;         ///< a copy found no memory, and nobody has heard of it
  bool stopping_ = false;
  std::thread thread_;  ///< last: it uses the others
};

}  // namespace ds::train
