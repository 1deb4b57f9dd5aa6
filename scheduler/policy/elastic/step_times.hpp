#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "scheduler/policy/elastic/speed_curve.hpp"

namespace ds::scheduler {

/// Finds out how long a job's steps take at the size that it has, from reports of what the last few took.
///
/// The optimizer's first steps after a resize are left out (`kWarmUpSteps`); of the last `kReportsKept`
/// reports the median counts, so that a pause of the machine does not. A size is settled after
/// `kFirstReports`, and looked at again each time there have been four times as many, or `kMostReports` more:
/// so a long run is told of seldom, and only when it has become another by more than `kWorthTelling`. Pure.
class StepTimes {
 public:
  static constexpr std::uint64_t kWarmUpSteps = 5;
  static constexpr std::size_t kFirstReports = 8, kReportsKept = 64, kMostReports = 1'024;
  static constexpr double kWorthTelling = 0.1;

  /// Another generation trains from now on. `known`: what was told of this size before, if anything.
  void begin(std::uint32_t workers, std::uint32_t nodes, const std::optional<SizeMeasured>& known);

  /// What is reported of the optimizer's steps since the last report.
  struct Report {
    std::uint64_t step = 0;            ///< committed, in batches
    double step_s = 0, compute_s = 0;  ///< of one, on average
    double took = 1;                   ///< batches of `batch.global` that one took, on average
    std::uint32_t batches = 1;         ///< that one takes from now on; when that changes all begins again
  };
  /// What is to be told, if anything is. Times that can't be are left out.
  std::optional<SizeMeasured> add(const Report& report);

 private:
  void begin_batches(std::uint32_t batches);

  struct Sample {
    double step_s = 0, compute_s = 0;
  };
  SizeMeasured size_{0, 1, 0, 0};  ///< no workers: nothing has begun
  std::optional<SizeMeasured> known_;
  std::optional<std::uint64_t> first_step_;
  std::deque<Sample> samples_;
  std::size_t reports_ = 0, next_look_ = kFirstReports;
};

}  // namespace ds::scheduler
