#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace ds::kernels {

// What is done to a gradient between its sum and the optimizer's step. Pure apart from the spans; any thread.

/// Elements whose squares are summed as one. Whoever computes a norm in pieces cuts at multiples of it.
inline constexpr std::size_t kNormBlock = 4096;

/// Writes the sum of squares of each block of `vector`, of which only the last may be short; `sums` has an
/// element for each. A function of the block alone.
void sum_squares(std::span<const float> vector, std::span<double> sums);

/// The sum of all, along a binary tree that depends on how many there are alone.
double add_in_tree(std::span<const double> sums);

/// The L2 norm's square: the blocks' sums added in a tree, so the same bits whoever computes which blocks.
double squared_norm_of(std::span<const float> vector);

/// The L2 norm: the root of the blocks' sums added in a tree, so the same bits whoever computes which blocks.
/// Not finite when an element is not; a finite vector has a finite norm.
double norm_of(std::span<const float> vector);

/// What PyTorch's `clip_grad_norm_` multiplies gradients of that norm by: `limit` / (`norm` + 1e-6), at
/// most 1.
float clip_factor(double norm, double limit);

/// Multiplies each element.
void scale(std::span<float> vector, float factor);

/// Cuts each element to ± `limit`; a NaN stays.
void clip_value(std::span<float> vector, float limit);

/// The first element that is infinite or NaN, or none.
std::optional<std::size_t> find_not_finite(std::span<const float> vector);

}  // namespace ds::kernels
