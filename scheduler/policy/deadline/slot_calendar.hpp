#pragma once

#include <cstdint>
#include <vector>

#include "scheduler/policy/deadline/deadline_job.hpp"

namespace ds::scheduler {

/// How many slots of a cluster are not promised yet, round by round, without an end.
class SlotCalendar {
 public:
  SlotCalendar(std::uint32_t total, const RoundClock& clock) : clock_(clock), spans_{{clock.now, total}} {}

  const RoundClock& clock() const { return clock_; }
  std::uint32_t free_now() const { return spans_.front().free; }

  /// Rounds in a row with the same number of free slots.
  struct Span {
    std::uint64_t from = 0;
    std::uint32_t free = 0;
  };
  /// The earliest first; each lasts to the next, the last for ever.
  const std::vector<Span>& spans() const { return spans_; }

  /// Takes the slots of the promise; false, and nothing changes, when they are not free.
  bool take(const Promise& promise);

  /// What the job gets that wants `most` slots and takes fewer while there are no more, from now to its end;
  /// the slots are not taken. Nothing when it never gets any.
  Promise fill(const DeadlineJob& job, std::uint32_t most) const;

 private:
  void split(std::uint64_t at);

  RoundClock clock_;
  std::vector<Span> spans_;
};

}  // namespace ds::scheduler
