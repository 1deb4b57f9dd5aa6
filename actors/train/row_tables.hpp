#pragma once

#include <vector>

#include "actors/parameters/requests.hpp"
#include "actors/train/model.hpp"

namespace ds::train {

/// Matrices with fewer rows are no tables: little would be saved.
inline constexpr std::int64_t kLeastTableRows = 256;

/// The matrices with many rows among a model's parameters. A server and its workers must name the same. Pure.
std::vector<parameters::RowTable> row_tables(const std::vector<TensorSlot>& slots);

}  // namespace ds::train
