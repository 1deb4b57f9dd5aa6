#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ds::scheduler {

/// One number of slots that a job with a deadline may have.
struct DeadlineSize {
  std::uint32_t slots = 1;
  double steps_per_s = 1;
  double restart_s = 0;  ///< it stands still so long when it comes to this number or is moved
};

/// A job that has to end before a time, as far as its promise depends on it.
struct DeadlineJob {
  std::span<const DeadlineSize> sizes;  ///< more slots are faster; at least one size
  double steps_left = 0;
  double deadline_s = 0;
  std::uint32_t slots = 0;  ///< that it has now, one of the sizes; 0: it is stopped
  double standing_s = 0;    ///< how long it still stands still on them
};

/// Rounds for which a job is promised slots. Round n is from n times its length on.
struct Stretch {
  std::uint64_t from = 0;
  std::uint64_t to = 0;  ///< the first one after it
  std::uint32_t slots = 0;

  bool operator==(const Stretch&) const = default;
};

/// What a job will have, the earliest first, without overlaps; in between it stands.
using Promise = std::vector<Stretch>;

/// The present round and how long rounds are.
struct RoundClock {
  std::uint64_t now = 0;
  double round_s = 60;
};

/// What comes of a promise.
struct Forecast {
  double end_s = 0;          ///< when the job ends
  std::uint64_t rounds = 0;  ///< the first round that it doesn't need any more
  double slot_s = 0;         ///< slots held times seconds from now on
};

/// Follows a job through what it is promised from now on; nothing when that is not enough to end it.
std::optional<Forecast> forecast(const DeadlineJob& job, std::span<const Stretch> promise,
                                 const RoundClock& clock);

/// Whether it ends before its deadline, by more than what rounding can add up to.
bool is_in_time(const DeadlineJob& job, const Forecast& forecast);

/// The promise without what is over and what the job doesn't need any more.
Promise trim(const Promise& promise, const RoundClock& clock, std::uint64_t rounds);

/// The largest size of at most `slots`; nullptr when the smallest is larger.
const DeadlineSize* find_size(const DeadlineJob& job, std::uint32_t slots);

}  // namespace ds::scheduler
