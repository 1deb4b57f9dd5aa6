#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ds::serving {

inline constexpr std::uint32_t kLeastRetryMs = 1'000, kMostRetryMs = 60'000;

/// When to ask again where `waiting` requests stand before one and so many are answered a second: once they
/// are all answered, from a second to a minute from now. 0 a second: nobody knows, so a second. Pure.
inline std::uint32_t retry_after_ms(std::uint64_t waiting, double answers_per_second) {
  if (!(answers_per_second > 0)) return kLeastRetryMs;
  const double ms = std::ceil(1000.0 * static_cast<double>(waiting) / answers_per_second);
  return static_cast<std::uint32_t>(std::clamp<double>(ms, kLeastRetryMs, kMostRetryMs));
}

/// As the header `Retry-After` has it, which has whole seconds and at least one.
inline std::uint32_t retry_after_seconds(std::uint32_t ms) {
  return (std::clamp(ms, kLeastRetryMs, kMostRetryMs) + 999) / 1000;
}

}  // namespace ds::serving
