#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "scheduler/policy/growth.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::scheduler {

/// How long a training job's steps took at one size.
struct SizeMeasured {
  std::uint32_t workers = 1;
  std::uint32_t nodes = 1;
  double step_s = 0;  ///< all of a step, without evaluations and checkpoints
  double compute_s =
      0;  ///< without the sum of the gradients; where the batch may grow, without the optimizer too
  std::uint32_t batches = 1;  ///< of `batch.global`, that a step takes one after the other; at least 1

  /// What a step of so many batches would take: they are computed one by one, and summed up once.
  SizeMeasured with(std::uint32_t other_batches) const;
  bool operator==(const SizeMeasured&) const = default;
};

/// So many sizes have a place in a curve: as many as a job file can ask for.
inline constexpr std::size_t kMaxCurveSizes = 1024;

/// How fast the job is with `workers.min` workers to as many as it may have: as measured, and between and
/// beyond that by `fit_speed`. A batch is the same for any number of workers, cut into `logical_ranks` parts:
/// a worker computes the largest whole number of them that falls to any. A step takes `batches` of them now,
/// whatever it took when a size was measured; how much such a step is worth by the gradient's noise is the
/// same with any number of workers, so sizes compare by their speed alone.
///
/// `measured`: oldest first, of equal sizes the last counts; `resizes_s`: times for which it stood still.
/// Null until sizes were measured at which workers had shares of different size: before, nothing is known of
/// how it scales. Pure.
std::shared_ptr<const SpeedCurve> make_curve(std::span<const SizeMeasured> measured,
                                             std::span<const double> resizes_s, const WorkerCount& workers,
                                             std::uint32_t logical_ranks, std::uint32_t batches = 1);

/// The newest of so many workers; null: none was measured.
const SizeMeasured* find_measured(std::span<const SizeMeasured> measured, std::uint32_t workers);

/// Takes what was measured now in, the last of `measured`, in the place of what was measured before with as
/// many workers on as many nodes; of more than 32 sizes the oldest is forgotten.
///
/// Where a step takes x times as long as it did at the same size, the machine is busier now, or freer, and
/// what was measured before that counts as x times as long as well: else another size would seem to be the
/// better one, because nobody has looked at it lately. What was measured since stays as it is, for it may be
/// from now. Pure.
void keep_measured(std::vector<SizeMeasured>& measured, const SizeMeasured& size);
/// Adds for how long a job stood still when its size changed; 0: that was not measured. The oldest go.
void keep_resize(std::vector<double>& resizes_s, double resize_s);

/// 0 for none.
double median_of(std::span<const double> values);

}  // namespace ds::scheduler
