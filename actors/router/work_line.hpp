#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/gateway/http_server.hpp"

namespace ds::router {

/// Why work isn't done, or its outcome not waited for.
enum class GivenUp : std::uint8_t { late, gone, crowded_out };

/// Something to be done for a request, by one of a pool's threads.
///
/// `run` and `give_up` may both be called, as work that takes too long is given up while it runs: who answers
/// the request is the one whose `claim` succeeds. `give_up` is called with that done; `run` has to do it.
struct Work {
  using Clock = std::chrono::steady_clock;

  std::string turn;      ///< whose: names take turns
  std::size_t cost = 0;  ///< what it is likely to take, in bytes
  Clock::time_point until = Clock::time_point::max();
  std::shared_ptr<const gateway::ClientWatch> client;  ///< null: nobody who could go away
  std::function<void(Work&)> run;                      ///< throws nothing
  std::function<void(GivenUp)> give_up;                ///< null: it is never given up
  std::atomic<bool> is_claimed = false;

  bool claim() { return !is_claimed.exchange(true); }
  /// Whether it is to be given up by now.
  std::optional<GivenUp> is_over(Clock::time_point now) const {
    if (!give_up) return std::nullopt;
    if (client && client->is_gone()) return GivenUp::gone;
    return until <= now ? std::optional(GivenUp::late) : std::nullopt;
  }
  void end(GivenUp why) {
    if (give_up && claim()) give_up(why);
  }
};
using WorkPtr = std::shared_ptr<Work>;

/// Work that waits for a thread. Names take turns; of one name's by turns the cheapest and the oldest goes
/// first, so that little work waits for no more than one that is large, and that is not put off for ever. A
/// plain value.
class WorkLine {
 public:
  struct Bounds {
    std::size_t each = 0;  ///< of one name that waits
    std::size_t all = 0;   ///< beyond it one of each name
  };
  struct Entry {
    bool has_place = false;
    WorkPtr crowded_out;  ///< the costliest of a name that has all it may have, for what costs less
  };
  using Ended = std::vector<std::pair<WorkPtr, GivenUp>>;

  explicit WorkLine(Bounds bounds) : bounds_(bounds) {}

  Entry add(WorkPtr work);
  /// Null: nothing waits.
  WorkPtr take();
  /// Adds to `ended` what need not be done any more, which waits no longer.
  void take_over(Work::Clock::time_point now, Ended& ended);
  bool empty() const { return waiting_ == 0; }

 private:
  struct Line {
    std::string turn;
    std::vector<WorkPtr> waiting;  ///< the oldest first; never empty
    bool oldest_is_next = false;
  };

  const Bounds bounds_;
  std::list<Line> lines_;  ///< in order of their turns
  std::size_t waiting_ = 0;
};

}  // namespace ds::router
