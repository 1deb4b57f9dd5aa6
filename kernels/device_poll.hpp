#pragma once

#include <sched.h>

#include <chrono>
#include <thread>
#include <utility>

#include "kernels/device.hpp"

namespace ds::kernels {

/// Asks `ready()`, a `DeviceResult<bool>`, until it says yes or fails, or `give_up()` says so. Lets others
/// have the processor for the first moments, then sleeps in between.
template <class Ready>
DeviceResult<void> poll_until(const GiveUp& give_up, Ready&& ready) {
  constexpr std::chrono::microseconds kYieldTime{200}, kSleep{50};
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    const DeviceResult<bool> is_ready = ready();
    if (!is_ready) return tl::unexpected(is_ready.error());
    if (*is_ready) return {};
    if (give_up()) return device_failure(DeviceError::Kind::cancelled, "a wait for a GPU was given up");
    if (std::chrono::steady_clock::now() - begin < kYieldTime) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(kSleep);
    }
  }
}

}  // namespace ds::kernels
