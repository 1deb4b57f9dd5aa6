#pragma once

#include <vector>

#include "actors/parameters/key_range.hpp"
#include "actors/parameters/range_shard.hpp"
#include "actors/train/model.hpp"

namespace ds::train {

/// Matrices with fewer rows are no tables: little would be saved.
inline constexpr std::int64_t kLeastTableRows = 256;

/// The matrices with many rows among a model's parameters, as far as they lie in `range` with whole rows. A
/// range's server and its workers must name the same. Pure.
std::vector<parameters::RowTable> row_tables(const std::vector<TensorSlot>& slots,
                                             const parameters::KeyRange& range);

}  // namespace ds::train
