#pragma once

#include <time.h>

#include <cstdint>

namespace ds::fabric {

/// CLOCK_BOOTTIME in nanoseconds: the same for all processes of a machine, and also goes on while it sleeps.
inline std::int64_t boot_time_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace ds::fabric
