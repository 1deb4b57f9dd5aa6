#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ds::train {

/// The vector that logical ranks sum up in a step: gradients, then how the buffers moved, then the counters,
/// then the loss.
///
/// Buffers (the running means of batch norm) of the logical ranks drift apart within a step; the step leaves
/// the mean of where they went, over the ranks that had samples. Counters are whole numbers: those of the
/// first such rank count, in two halves of 24 bits, because a float32 holds no more exactly. Pure.
class StepVector {
 public:
  struct Sizes {
    std::size_t parameters = 0, buffers = 0, counters = 0;
  };

  explicit StepVector(Sizes sizes) : sizes_(sizes) {}

  std::size_t size() const { return sizes_.parameters + sizes_.buffers + 2 * sizes_.counters + 1; }
  std::span<float> gradients(std::span<float> all) const { return all.first(sizes_.parameters); }
  static float loss(std::span<const float> all) { return all.back(); }

  /// Writes what one logical rank contributes behind its gradients: `before` and `after` are the buffers
  /// around its share, which counts as one of `active` ranks; `counters` are null unless it is the first of
  /// them.
  void write_rest(std::span<const float> before, std::span<const float> after, std::uint32_t active,
                  const std::int64_t* counters, double loss, std::span<float> all) const;

  /// Moves the buffers and counters that were before the step by what was summed.
  void move(std::span<const float> sum, std::span<float> buffers, std::span<std::int64_t> counters) const;

 private:
  Sizes sizes_;
};

}  // namespace ds::train
