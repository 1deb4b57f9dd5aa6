#pragma once

// Private to actors/router: a request on its way.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/router/router.hpp"
#include "actors/serving/suspicion.hpp"

namespace ds::router {

/// A request and what has been tried.
struct Journey {
  Ask ask;
  std::chrono::steady_clock::time_point deadline;
  std::string job;                    ///< whose endpoint it is for
  std::uint64_t epoch = 0;            ///< of that endpoint
  std::uint64_t version = 0;          ///< that it went to last, or was asked for; 0: any
  std::uint64_t checked_version = 0;  ///< whose inputs it has been compared with; 0: none's yet
  std::uint32_t rows = 0;
  std::uint64_t bytes = 0;
  std::vector<std::uint64_t> tried;  ///< and not to be asked again
  std::uint32_t tries = 0;           ///< also of those that may be
  std::optional<Failure> last;       ///< what the last of them said
  bool is_given_up = false;          ///< nobody waits for its answer
  std::uint64_t call = 0, at = 0;    ///< the last `InferCall`, and to which worker; 0: none
  std::optional<std::chrono::steady_clock::time_point> waits_since = {};  ///< for a replica; none: it doesn't
  std::uint64_t waited_ns = 0;                                            ///< for replicas before
  std::uint64_t place = 0;  ///< in the line of those that wait for a replica; 0: none
  serving::Suspicion suspicion;
};
using JourneyPtr = std::shared_ptr<Journey>;

}  // namespace ds::router
