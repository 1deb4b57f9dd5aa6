#pragma once

#include <algorithm>
#include <cstdint>

namespace ds::scheduler {

/// What a change of its size costs a `command` job: its program starts again, and what it had done is lost,
/// unless it keeps checkpoints of its own, of which nobody knows.
///
/// Let T be the longest run that the job needs at any of its sizes. It grows only when its program has run
/// for twice the longest run that growing has cost it so far, so each run that growing ends is at least
/// twice as long as the one before: together they are less than 2 T. Being shrunk for others who are owed
/// nothing waits by the same rule, for `kLongestRest_ms` at most; runs that this ends are less than 2 T too
/// as long as that is not reached, and then there are no more of them between two growths than workers above
/// the minimum. So the job grows log2(T / `kFirstRest_ms`) + 1 times at most, and ends. What others end (a
/// drain, a loss, who is more urgent) makes growing wait no longer: it costs the new run alone. Nor does what
/// it costs to grow because its owner allows more. Pure; a part of a job's record.
struct ProgramRuns {
  /// Several slots that get free one after another are one growth.
  static constexpr std::int64_t kFirstRest_ms = 30'000;
  /// For so long somebody who is owed nothing waits at most for workers above the minimum.
  static constexpr std::int64_t kLongestRest_ms = 600'000;

  std::int64_t since_ms = 0;        ///< when the run began; 0: the program does not run
  std::int64_t grown_lost_ms = 0;   ///< the longest run that growing has ended
  std::int64_t shrunk_lost_ms = 0;  ///< the longest that being shrunk has
  bool is_raised = false;           ///< its owner has allowed more workers, and it has not grown since

  void begin(std::int64_t at_ms) { since_ms = at_ms; }
  /// By itself, or for a reason that is no change of size.
  void end() { since_ms = 0; }
  /// By a change of size. That of several workers is one.
  void lose(std::int64_t at_ms, bool is_shrunk);

  /// 0 when it doesn't run, or the clock was set back.
  std::int64_t ran_ms(std::int64_t now_ms) const {
    return since_ms == 0 ? 0 : std::max<std::int64_t>(0, now_ms - since_ms);
  }
  /// From when on it may grow; 0: it does not run.
  std::int64_t may_grow_ms() const;
  /// From when on it may be shrunk for anybody; 0: now.
  std::int64_t may_shrink_ms() const;
  /// The next size to which it may grow: gaining by it, if it scales, pays within ten minutes, or if it has
  /// run for longer within as long again, for what it has done so far; any, where its owner has just allowed
  /// more. `UINT32_MAX`: none.
  /// `left_ms`: until its `time_limit` ends it; 0: it has none. There must be twice what is lost.
  std::uint32_t next_size(std::uint32_t workers, std::int64_t now_ms, std::int64_t left_ms) const;
  bool operator==(const ProgramRuns&) const = default;
};

}  // namespace ds::scheduler
