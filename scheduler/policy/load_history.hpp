#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace ds::scheduler {

/// One look at all replicas of a model.
struct LoadSample {
  std::int64_t at_ms = 0;
  double ongoing = 0;          ///< requests without an answer, waiting ones included, in all
  std::uint64_t arrivals = 0;  ///< since the sample before, refused ones included
  std::uint64_t answered = 0;  ///< with a result, since the sample before
  double p99_ms = 0;           ///< of those answered of late; 0: none
  std::uint32_t ready = 0;     ///< replicas that serve
  std::uint32_t starting = 0;  ///< that are wanted and don't yet
  bool operator==(const LoadSample&) const = default;
};

/// The newest samples, in order of time. Windows are of the last so many milliseconds before `now_ms`; where
/// none of their samples is within, the newest alone stands for them.
class LoadHistory {
 public:
  static constexpr std::size_t kMostSamples = 4'096;
  static constexpr std::int64_t kRememberedMs = 3'600'000;  ///< that too few replicas were too few

  /// Older than the newest: it is ignored. Past `kMostSamples` samples of the older half with equally many
  /// ready replicas are merged by two, with the larger load, so that what is remembered stays as long as the
  /// delays; where there are none, the oldest goes.
  void add(const LoadSample& sample);
  const std::deque<LoadSample>& samples() const { return samples_; }

  /// Precondition of all below: there is a sample.
  double mean_ongoing(std::int64_t now_ms, std::int64_t window_ms) const;
  /// The largest of such means that ended within the last `within_ms`.
  double largest_mean_ongoing(std::int64_t now_ms, std::int64_t window_ms, std::int64_t within_ms) const;
  /// A second.
  double arrival_rate(std::int64_t now_ms, std::int64_t window_ms) const;
  /// What a replica answered a second, in the best window that ended within the last `within_ms`; 0: nothing.
  double fastest_answers(std::int64_t now_ms, std::int64_t window_ms, std::int64_t within_ms) const;
  /// Whether samples reach back so long: else nothing is known of that time.
  bool covers(std::int64_t now_ms, std::int64_t window_ms) const;
  /// Whether they do, and no request was there or came.
  bool is_idle(std::int64_t now_ms, std::int64_t window_ms) const;
  /// The most requests that a replica had at once while this was kept; 0: it never was.
  double most_ongoing_within(double p99_ms) const;
  /// Arrivals a second under which this was missed, within `kRememberedMs`, when there had been more than so
  /// many replicas (with fewer before, it may be their backlog); 0: that hasn't been seen.
  double rate_that_missed(double p99_ms, std::uint32_t ready, std::int64_t now_ms) const;

  bool operator==(const LoadHistory&) const = default;

 private:
  /// The first sample that is later; all are older: the newest.
  std::size_t first_after(std::int64_t at_ms) const;
  double lasted_ms(std::size_t sample) const;

  std::deque<LoadSample> samples_;
};

}  // namespace ds::scheduler
