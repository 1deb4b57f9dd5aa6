#pragma once

#include <cstdint>
#include <optional>

#include "scheduler/spec/job_spec.hpp"

namespace ds::train {

// The simple noise scale of McCandlish et al., "An Empirical Model of Large-Batch Training" (2018), appendix
// A.1: tr(S) / |G|², where G is the true gradient and S the covariance of single samples' gradients about it.
// In samples: the batch at which the noise of a step's gradient is as large as the gradient.
//
// Both are estimated without bias from the squared norms of a step's micro-batches (the small batches) and of
// their sum (the large one), smoothed each by itself, and only then divided. All is a function of the step's
// number and its sums, so it does not depend on the number of workers either. Nothing that is trained depends
// on it, but in jobs whose batch may grow (`batch_growth.hpp`). Pure.

/// Of so many steps one is measured: it costs a pass over each micro-batch's gradient and over their sum.
inline constexpr std::uint64_t kNoiseEvery = 8;
/// What an older measurement counts of the next one: the last 20, of 160 steps, are most of it.
inline constexpr double kNoiseKept = 0.95;
/// Before so many measurements nothing is said.
inline constexpr double kFewestNoises = 5;

/// That a step is made of: parts of the logical ranks' shares.
std::uint64_t count_micro_batches(const scheduler::JobSpec& spec);

/// Whether the micro-batches of the optimizer step after `step` of them are measured. There have to be two or
/// more, and the sum's norm: there is no sum with parameter servers that are not `sync`, and with lossy
/// pushes that of something else.
bool measures_noise(const scheduler::JobSpec& spec, std::uint64_t step);

/// What micro-batches say together. Added up over logical ranks as float32.
struct NoiseSums {
  double squares = 0;  ///< of each, its rows times the squared norm of their mean gradient
  double parts = 0;    ///< micro-batches that have rows

  /// `squared_norm`: of the mean gradient of its `rows`, at least 1. What is not finite or very large is cut,
  /// so that a sum over all ranks is finite whatever the gradients are; see `measure_noise`.
  void add(double squared_norm, double rows);
  bool operator==(const NoiseSums&) const = default;
};

/// The squared norm of the mean gradient of `rows`, from that of their losses' sum, divided by `divisor` and
/// times `scale`.
double mean_square(double squared_norm, double rows, double divisor, double scale);

struct NoiseMeasured {
  double variance = 0;      ///< tr(S)
  double squared_norm = 0;  ///< |G|²; an estimate, so it may be below 0
};

/// From a step's `sums`, and the squared norm of the mean gradient of all its `rows`. Micro-batches need not
/// be of equal size. None of a single one, and when something was cut or is not finite.
std::optional<NoiseMeasured> measure_noise(const NoiseSums& sums, double squared_norm, double rows);

/// What is known of the noise so far: measurements smoothed.
struct NoiseSoFar {
  // As in `NoiseMeasured`, but begun at 0 and not corrected for that.
  double variance = 0, squared_norm = 0;
  double measurements = 0;

  void add(const NoiseMeasured& measured);
  /// The noise scale, in samples, 0 where there is no noise; none while too little was measured, or the
  /// gradient can't be told from its noise.
  std::optional<double> find_scale() const;
  /// Likewise, but 0 for none.
  double scale() const { return find_scale().value_or(0); }
  bool operator==(const NoiseSoFar&) const = default;
};

}  // namespace ds::train
