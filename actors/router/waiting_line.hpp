#pragma once

// Private to actors/router: requests that wait for a replica.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "actors/router/journey.hpp"
#include "actors/serving/make_way.hpp"
#include "actors/serving/ticket_line.hpp"

namespace ds::router {

/// Requests that wait for a replica, within bounds of which each tenant has its share. A plain value.
class WaitingLine {
 public:
  struct Displaced {
    JourneyPtr journey;
    serving::Refusal why;  ///< what was short
  };
  struct Entry {
    std::optional<serving::Refusal> refused;  ///< none: it waits
    std::vector<Displaced> displaced;         ///< whose places were taken: they wait no more
  };
  Entry add(const JourneyPtr& journey, serving::LineBounds bounds);
  /// False, and nothing happens: it doesn't wait.
  bool remove(const JourneyPtr& journey);
  /// Those to which it applies, the oldest first; they wait no more.
  std::vector<JourneyPtr> take_if(const std::function<bool(const Journey&)>& condition);
  /// All, by priority and with the tenants taking turns.
  std::vector<JourneyPtr> take_all();

  std::size_t size() const { return waiting_.size(); }
  std::uint64_t bytes() const { return line_.bytes(); }

 private:
  serving::TicketLine line_;
  std::map<std::uint64_t, JourneyPtr> waiting_;  ///< by their places
  std::uint64_t places_ = 0;
};

}  // namespace ds::router
