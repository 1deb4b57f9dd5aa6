#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "actors/parameters/tree_parts.hpp"

namespace ds::parameters {

/// What is done to a sum of gradients before it is looked at.
struct SumOptions {
  double unscale = 1;
  double clip_value = 0;  ///< 0: nothing is cut
  bool want_squares = false;
  bool want_uncut_squares = false;  ///< before anything is cut
  bool operator==(const SumOptions&) const = default;
};

/// What workers decide about a step by.
struct SumVerdict {
  std::optional<std::uint64_t> not_finite;  ///< the first such element
  std::vector<double> squares;              ///< by block of `kernels::kNormBlock`; only of a finite sum
  std::vector<double> uncut_squares;        ///< likewise
};

/// Writes the sum of `parts`, which are complete, in one pass over memory: the bits of
/// `collective::Communicator::all_reduce`, NaNs aside, then multiplied, looked at, cut and squared as
/// `options` say. What follows the first element that is not finite is not cut.
SumVerdict write_sum(TreeParts& parts, const SumOptions& options, std::span<float> sum);

}  // namespace ds::parameters
