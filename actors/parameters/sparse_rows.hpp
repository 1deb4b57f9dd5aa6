#pragma once

#include <span>
#include <vector>

#include "actors/parameters/range_shard.hpp"
#include "actors/parameters/requests.hpp"

namespace ds::parameters {

/// A range's gradient without the rows of `tables` that are +0.0 to the last bit, where that takes at most
/// half the bytes; else all of it, and `gradient`'s own memory. Nothing is lost either way. `gradient` lies
/// where floats may; tables are in order and do not overlap. Pure.
Payload leave_out_zero_rows(const Buffer& gradient, std::span<const RowTable> tables);

/// The rows of `tables`, which are of the whole vector, that lie in `range` whole, counted from its begin.
/// Rows that a cut goes through belong to no table. Pure.
std::vector<RowTable> tables_in(const KeyRange& range, std::span<const RowTable> tables);

}  // namespace ds::parameters
