#pragma once

// Private to actors/router: the requests that replicas have.

#include <caf/actor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "actors/router/journey.hpp"

namespace ds::router {

/// A request that a replica has, under the number `journey->call`.
struct Call {
  JourneyPtr journey;
  std::uint64_t worker = 0;
  caf::actor asked;
  std::chrono::steady_clock::time_point until;  ///< when it is given up
};

/// Those without an answer, by number. A plain value.
class CallBook {
 public:
  void add(Call call);
  /// Null: there is none of that number, which has been answered or given up.
  const Call* find(std::uint64_t number) const;
  std::optional<Call> take(std::uint64_t number);
  /// In the order in which they were sent.
  std::vector<Call> take_if(const std::function<bool(const Call&)>& condition);
  bool empty() const { return calls_.empty(); }

 private:
  std::unordered_map<std::uint64_t, Call> calls_;
};

}  // namespace ds::router
