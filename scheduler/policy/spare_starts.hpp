#pragma once

#include <cstdint>

namespace ds::scheduler {

/// When processes that a job can do without (data shards, workers beyond those that train) may be started
/// again, after some have ended. Pure.
///
/// One that was ready is replaced at once. One that ended before would not get ready the next moment either:
/// the next start waits a second, then twice as long each time, up to five minutes. If something outside
/// ended it (an operator, the kernel for want of memory) that wait begins only after `kFree` of them in a
/// row, for a job is not to be without them because somebody is quick.
class SpareStarts {
 public:
  static constexpr std::uint32_t kFree = 20;
  static constexpr std::int64_t kFirstWaitMs = 1'000;
  static constexpr std::int64_t kLongestWaitMs = 300'000;

  /// Returns how long the next start has to wait; 0: not at all.
  std::int64_t on_ended(bool was_ready, bool by_outside, std::int64_t now_ms);
  bool may_start(std::int64_t now_ms) const { return now_ms >= not_before_ms_; }

 private:
  std::uint32_t free_used_ = 0;
  std::uint32_t waits_ = 0;  ///< in a row
  std::int64_t not_before_ms_ = 0;
};

}  // namespace ds::scheduler
