#pragma once

#include <chrono>
#include <cstdint>

namespace ds::clients {

/// This machine's time, in milliseconds since 1970.
inline std::int64_t read_wall_clock_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace ds::clients
