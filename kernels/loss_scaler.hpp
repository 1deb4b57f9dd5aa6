#pragma once

#include <cstdint>

namespace ds::kernels {

/// Keeps gradients of fp16 training inside the range of binary16: losses are multiplied by `scale`, gradients
/// by `inverse()`. Decides as PyTorch's GradScaler with its default settings. A plain value: all of it
/// belongs in a checkpoint, and every rank that is told the same overflows has the same.
struct LossScaler {
  static constexpr std::uint32_t kGrowthInterval = 2000;

  float scale = 65536;
  std::uint32_t clean_steps = 0;  ///< in a row, since the scale last changed
  std::uint64_t skipped = 0;      ///< steps, since the job began

  /// Takes notice of a step and returns whether the optimizer may make it: not when a gradient `overflowed`
  /// (any element infinite or NaN), which halves the scale. `kGrowthInterval` steps without double it, short
  /// of infinity.
  bool update(bool overflowed);

  /// What gradients are multiplied by, once for each optimizer step.
  float inverse() const;

  bool operator==(const LossScaler&) const = default;
};

}  // namespace ds::kernels
