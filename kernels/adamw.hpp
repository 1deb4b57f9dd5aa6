#pragma once

#include <cstdint>
#include <span>

namespace ds::kernels {

/// The settings of AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019).
struct AdamwOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool operator==(const AdamwOptions&) const = default;
};

/// One AdamW step, in the order of operations of PyTorch's single-tensor `AdamW` (amsgrad and maximize off).
///
/// `step` counts from 1. All spans have the same length and do not overlap; the moments start as zeros.
/// Scalars are computed in double and rounded once to the element type; elements are independent of each
/// other, so any cut of the vector gives the same bits. Pure apart from its spans; any thread.
void adamw_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> first_moment,
                std::span<float> second_moment, const AdamwOptions& options, std::uint64_t step);
void adamw_step(std::span<double> parameters, std::span<const double> gradient,
                std::span<double> first_moment, std::span<double> second_moment, const AdamwOptions& options,
                std::uint64_t step);

}  // namespace ds::kernels
