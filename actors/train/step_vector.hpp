#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "actors/train/gradient_noise.hpp"

namespace ds::train {

/// The vector that logical ranks sum up in a step: gradients, then how the buffers moved, then the counters,
/// then what its micro-batches say of the noise, then the number of bad records, then the loss.
///
/// Buffers (the running means of batch norm) of the logical ranks drift apart within a step; the step leaves
/// the mean of where they went, over the ranks that had samples. Counters are whole numbers: those of the
/// first such rank count, as far as they moved, in two parts of 24 bits, because a float32 holds no more
/// exactly; a counter may move by less than 2^47 a step. Pure.
class StepVector {
 public:
  struct Sizes {
    std::size_t parameters = 0, buffers = 0, counters = 0;
  };
  /// What one logical rank's share of a step did, besides its gradients.
  struct Share {
    std::span<const float> buffers_before, buffers_after;
    std::span<const std::int64_t> counters_before, counters_after;
    std::uint32_t active = 1;  ///< ranks that have samples in this step
    bool first = false;        ///< it is the first of them
    NoiseSums noise;
    std::uint64_t bad_records = 0;
    double loss = 0;
  };

  explicit StepVector(Sizes sizes) : sizes_(sizes) {}

  std::size_t size() const { return sizes_.parameters + sizes_.buffers + 2 * sizes_.counters + 4; }
  std::span<float> gradients(std::span<float> all) const { return all.first(sizes_.parameters); }
  static float loss(std::span<const float> all) { return all.back(); }
  static NoiseSums noise(std::span<const float> all) { return {all[all.size() - 4], all[all.size() - 3]}; }
  static double bad_records(std::span<const float> all) { return all[all.size() - 2]; }

  /// Writes what one logical rank contributes behind its gradients.
  void write_rest(const Share& share, std::span<float> all) const;

  /// Moves the buffers and counters that were before the step by what was summed.
  void move(std::span<const float> sum, std::span<float> buffers, std::span<std::int64_t> counters) const;

 private:
  Sizes sizes_;
};

}  // namespace ds::train
