#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace ds::fabric {

/// Whether a thread has lately had so much to do at a time that it should let others finish before it runs.
///
/// By default Linux lets a thread that wakes take the processor from one that runs. Where the stages of a
/// request share few processors, each stage then interrupts the one before it after a request or two, and
/// what could have gone on together goes on one by one. Pure.
class BusyPace {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr double kBusyFrom = 4, kCalmBelow = 2;  ///< requests a round
  /// After so long without a round, what was before it says nothing.
  static constexpr std::chrono::milliseconds kMemory{100};

  /// A round has had so many requests. 0: nothing has happened, and only time goes on.
  void on_round(std::size_t requests, Clock::time_point now) {
    if (now - last_ > kMemory) recent_ = 0;
    if (requests == 0) return settle();
    last_ = now;
    recent_ += (static_cast<double>(std::min(requests, kMost)) - recent_) / 8;
    settle();
  }
  bool is_busy() const { return is_busy_; }

 private:
  static constexpr std::size_t kMost = 8;  // so that a flood is soon forgotten

  void settle() {
    if (recent_ >= kBusyFrom) is_busy_ = true;
    if (recent_ < kCalmBelow) is_busy_ = false;
  }

  double recent_ = 0;  ///< requests a round, lately
  bool is_busy_ = false;
  Clock::time_point last_;
};

}  // namespace ds::fabric
