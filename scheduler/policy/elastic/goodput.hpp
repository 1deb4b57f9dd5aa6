#pragma once

#include <cstdint>

namespace ds::scheduler {

/// Seconds a step on `slots` slots of `nodes` nodes with `batch` samples a slot, after Pollux (OSDI 2021):
/// compute a + b*batch; network a + b*(slots - 2), with one pair for one node and one for several;
/// the step (compute^overlap + network^overlap)^(1/overlap).
struct SpeedModel {
  double compute_base = 0;
  double compute_sample = 0;
  double local_base = 0;  ///< within one node
  double local_slot = 0;
  double network_base = 0;  ///< across nodes
  double network_slot = 0;
  double overlap = 1;  ///< 1 (one after the other) to 10 (at the same time)

  double compute_s(double batch) const { return compute_base + compute_sample * batch; }
  double network_s(std::uint32_t nodes, std::uint32_t slots) const;
  double step_s(std::uint32_t nodes, std::uint32_t slots, double batch) const;
};

/// How noisy the gradient is at the base batch size.
struct GradientNoise {
  double squared_norm = 1;
  double variance = 1;

  /// Progress of a step of `scale` times the base batch, in steps of the base batch.
  double gain(double scale) const { return (variance + squared_norm) / (variance / scale + squared_norm); }
};

/// Which batch sizes a job may use.
struct BatchLimits {
  double base = 1;          ///< samples a step at which progress is counted
  double max = 1;           ///< samples a step
  double min_per_slot = 1;  ///< at once
  double max_per_slot = 1;  ///< at once; more are accumulated over several passes
};

/// How a step's samples are divided: `per_slot` at once, in `accumulation` passes and one more.
struct BatchChoice {
  double per_slot = 1;
  std::uint32_t accumulation = 0;

  double total(std::uint32_t slots) const { return slots * per_slot * (accumulation + 1); }
  bool operator==(const BatchChoice&) const = default;
};

/// Divides `total` samples among `slots` as evenly as whole samples allow. One slot accumulates at least once
/// above the base batch, or else it could not tell the gradient's noise.
BatchChoice divide_batch(double total, std::uint32_t slots, const BatchLimits& limits);

/// Useful work a second, in steps of the base batch.
struct Goodput {
  SpeedModel speed;
  GradientNoise noise;
  BatchLimits limits;

  double at(std::uint32_t nodes, std::uint32_t slots, const BatchChoice& choice) const;
  /// The best division of the best batch size, of `kBatchSizes` between the limits in equal ratios; the
  /// smallest batch that the limits allow when none fits.
  BatchChoice best_batch(std::uint32_t nodes, std::uint32_t slots) const;
  /// With the best batch.
  double best(std::uint32_t nodes, std::uint32_t slots) const {
    return at(nodes, slots, best_batch(nodes, slots));
  }

  static constexpr int kBatchSizes = 32;
};

}  // namespace ds::scheduler
