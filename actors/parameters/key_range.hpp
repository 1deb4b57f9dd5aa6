#pragma once

#include <cstdint>
#include <vector>

#include "kernels/gradient.hpp"

namespace ds::parameters {

/// Elements [first, last) of a model's flat parameter vector. A parameter server holds whole ranges.
struct KeyRange {
  std::uint64_t first = 0, last = 0;
  std::uint64_t size() const { return last - first; }
  bool operator==(const KeyRange&) const = default;
};

/// Cuts `parameters` elements into `count` ranges, in order and as even as cuts at multiples of
/// `kernels::kNormBlock` allow (so a gradient's norm is the same bits however it is cut); those at the end of
/// a small model may be empty. A job's cut never changes: servers come and go, ranges move whole. Pure.
std::vector<KeyRange> cut_into_ranges(std::uint64_t parameters, std::uint32_t count);

}  // namespace ds::parameters
