#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "actors/messages/worker.hpp"
#include "actors/train/session.hpp"

namespace ds::worker {

/// Condenses steps into at most ten reports a second. Times are for people; nothing that is computed depends
/// on them.
class StepMeter {
 public:
  void add(const train::StepResult& result);

  /// The report that is due, or that `now` asks for; without worker and generation.
  std::optional<messages::StepReport> take(bool now);

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kInterval{100};

  Clock::time_point last_ = Clock::now();
  train::StepResult sum_;  ///< times and samples summed since the last report, the rest of the newest step
  std::uint64_t steps_ = 0, batches_ = 0;  ///< of the optimizer, and what these took
};

}  // namespace ds::worker
