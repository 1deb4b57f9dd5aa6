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
  std::uint64_t answered = 0;  ///< of them and older ones, with a result, since the sample before
  double p99_ms = 0;           ///< of those answered of late; 0: none
  std::uint32_t ready = 0;     ///< replicas that serve
  std::uint32_t starting = 0;  ///< that are wanted and don't yet
  bool operator==(const LoadSample&) const = default;
};

/// The newest samples, in order of time.
class LoadHistory {
 public:
  static constexpr std::size_t kMostSamples = 4'096;

  /// Older than the newest: it is ignored. Past `kMostSamples` every other one of the older half is merged
  /// into the one after it, with the larger load, so that what is remembered stays as long as the delays.
  void add(const LoadSample& sample);
  const std::deque<LoadSample>& samples() const { return samples_; }
  bool operator==(const LoadHistory&) const = default;

 private:
  std::deque<LoadSample> samples_;
};

}  // namespace ds::scheduler
