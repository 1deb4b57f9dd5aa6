#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace ds::scheduler {

/// When a job that waits gets its minimum, if no other job comes, no worker or node is lost, and nobody asks
/// for anything.
struct StartForecast {
  std::optional<std::int64_t> from_ms;  ///< not before; none: nobody knows
  std::optional<std::int64_t> to_ms;    ///< not after; none: nobody knows
  bool operator==(const StartForecast&) const = default;
};

/// What is known of running gangs beyond their limits.
struct GangEnds {
  /// By job: the moment before which its gang does not end; 0: it may end at any moment.
  std::function<std::int64_t(const std::string&)> earliest_ms = [](const std::string&) { return 0; };
  /// For so long workers may stop once they have been told to.
  std::int64_t leaving_ms = 0;
  /// For so long a gang keeps its workers once it has started.
  std::int64_t young_ms = 0;
};

/// Of more jobs than these that wait nobody tells `to`.
inline constexpr std::size_t kMaxForecastJobs = 10'000;

}  // namespace ds::scheduler
