#pragma once

// Private to actors/router: requests that a replica ran alone when it died.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/router/journey.hpp"

namespace ds::router {

/// Whether a replica died of the request that it ran alone is known once its node has told how its process
/// ended: by itself, or killed by something outside, which says nothing against the request. The death itself
/// is known sooner, so the request waits for that word. A plain value.
class Inquest {
 public:
  using Clock = std::chrono::steady_clock;
  /// Where nothing is heard for so long the node is lost, too, which no request is blamed for.
  static constexpr std::chrono::seconds kLongest{5};
  static constexpr std::size_t kMostEnds = 256;  ///< that are known for those who ask later

  /// Whether the worker's process crashed by itself; none: nobody knows yet, and the request waits.
  std::optional<bool> ask(const JourneyPtr& journey, std::uint64_t worker, Clock::time_point now);
  /// How it ended is known. Returns those that waited for that.
  std::vector<JourneyPtr> tell(std::uint64_t worker, bool has_crashed);
  struct Case {
    JourneyPtr journey;
    std::uint64_t worker = 0;
    Clock::time_point until;
  };
  /// Those that wait no longer.
  std::vector<Case> take_late(Clock::time_point now);
  /// Those that waited for word of this worker, which has not ended after all.
  std::vector<Case> take_of(std::uint64_t worker);
  std::vector<Case> take_of(const std::string& job);
  /// Whether it was there.
  bool remove(const JourneyPtr& journey);
  bool empty() const { return cases_.empty(); }

 private:
  template <class Condition>
  std::vector<Case> take_if(Condition condition);

  std::vector<Case> cases_;              ///< in the order in which they came
  std::map<std::uint64_t, bool> ended_;  ///< workers: whether they crashed
  std::deque<std::uint64_t> told_;       ///< the same, in the order in which that was told
};

}  // namespace ds::router
