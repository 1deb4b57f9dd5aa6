#pragma once

#include <span>

#include "kernels/element_type.hpp"

namespace ds::kernels {

/// Conversions between float and the 16-bit floats; the spans have the same length and do not overlap. The
/// same bits on every processor; any thread, as long as it rounds to nearest and does not flush subnormals.
///
/// `widen` is exact, subnormals included. A NaN keeps its sign and payload; a binary16's becomes quiet.
void widen(std::span<float> to, std::span<const BFloat16> from);
void widen(std::span<float> to, std::span<const Float16> from);

/// `narrow` rounds to nearest, ties to even, also into the subnormals; what is too large becomes infinite. A
/// NaN keeps its sign and the upper bits of its payload and becomes quiet.
void narrow(std::span<BFloat16> to, std::span<const float> from);
void narrow(std::span<Float16> to, std::span<const float> from);

}  // namespace ds::kernels
