#pragma once

#include <span>

namespace ds::kernels {

/// Adds `other` to `accumulator`, element by element: `accumulator[i] = accumulator[i] + other[i]`.
///
/// One rounding an element and no reordering, so the result does not depend on the build or the processor.
/// The spans have the same length and do not overlap. Pure apart from `accumulator`; any thread.
void add_into(std::span<float> accumulator, std::span<const float> other);
void add_into(std::span<double> accumulator, std::span<const double> other);

/// `sum[i] = 0 + other[i]`: what `add_into` leaves in zeros, in which there is no negative zero, without
/// reading or writing these. The rest as above.
void add_to_zero(std::span<float> sum, std::span<const float> other);

}  // namespace ds::kernels
