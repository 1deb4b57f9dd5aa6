#pragma once

#include <algorithm>
#include <chrono>

namespace ds::fabric {

/// How long an idle thread should look for work before it sleeps: up to `kMostSpin`, as long as that has paid
/// lately, because a futex wake-up costs ten microseconds and a look costs one. Pure.
class SpinBudget {
 public:
  using Duration = std::chrono::nanoseconds;
  static constexpr Duration kMostSpin = std::chrono::microseconds(50);
  static constexpr Duration kLeastSpin = std::chrono::microseconds(1);
  /// A sleep shorter than this would have been shorter still without the wake-ups on both sides.
  static constexpr Duration kShortSleep = std::chrono::microseconds(200);

  Duration limit() const { return limit_; }
  /// Work was found while spinning.
  void on_found() { limit_ = std::min(limit_ * 2, kMostSpin); }
  /// Nothing was found; the thread slept for `slept` until there was work.
  void on_slept(Duration slept) {
    limit_ = slept < kShortSleep ? std::min(limit_ * 2, kMostSpin) : std::max(limit_ / 2, kLeastSpin);
  }

 private:
  Duration limit_ = kMostSpin;
};

}  // namespace ds::fabric
