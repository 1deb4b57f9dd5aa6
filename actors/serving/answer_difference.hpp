#pragma once

#include "actors/serving/tensor.hpp"

namespace ds::serving {

/// The largest difference of two tensors' elements over the largest magnitude that `expected` has (over 1
/// where it has none above 0). Both not a number, or the same infinity: no difference there. Infinity: shapes
/// or types differ, or what stands at a place can't be compared; elements of BYTES, BOOL and whole numbers
/// that differ at all. Pure.
double answer_difference(const Tensor& expected, const Tensor& got);

}  // namespace ds::serving
