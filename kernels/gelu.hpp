#pragma once

#include <cstddef>

#include "kernels/int8_linear.hpp"

namespace ds::kernels {

/// x/2 (1 + erf(x / sqrt 2)) of each element, in place; of NaN: NaN. The error function is a formula that is
/// off by at most 1.5e-7 (Abramowitz and Stegun, 7.1.26): the same bits on every processor.
void gelu(float* values, std::size_t count, Int8Code code = best_int8_code());

}  // namespace ds::kernels
