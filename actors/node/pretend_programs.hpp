#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/node/launcher.hpp"

namespace ds::node {

/// Programs that nodes say they run and don't, to see what a cluster of many machines does without having it.
///
/// A program starts at once and ends with exit code 0 when the time in its variable `DS_PRETEND_SECONDS` (0
/// when there is none), divided by `speed`, is over. One that is told to end ends at once. Only users'
/// programs can be pretended. Holds all nodes of this process; thread-safe.
class PretendPrograms {
 public:
  struct Happened {
    std::size_t node = 0;
    ProcessEvent event;
  };

  explicit PretendPrograms(double speed);  ///< above 0

  /// Of one node; must not outlive this object.
  std::unique_ptr<Launcher> launcher_of(std::size_t node);

  /// Waits for what happens next; nothing once `close` was called. One thread.
  std::optional<Happened> wait_event();
  void close();

 private:
  class Node;
  using Clock = std::chrono::steady_clock;
  using Events = std::multimap<Clock::time_point, Happened>;  ///< by when they happen
  using Program = std::pair<std::size_t, std::uint64_t>;      ///< node, worker

  void start(std::size_t node, std::uint64_t worker, const std::vector<std::string>& variables);
  void end(std::size_t node, std::uint64_t worker, int signal_number);

  const double speed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Events events_;
  std::map<Program, Events::iterator> exits_;  ///< of programs that run
  bool closed_ = false;
};

}  // namespace ds::node
