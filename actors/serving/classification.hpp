#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "actors/serving/tensor.hpp"
#include "storage/result.hpp"

namespace ds::serving {

/// The classification extension: of each row of `scores` the `classes` largest values (fewer if the row has
/// fewer), largest first, equal ones by index, NaN last, as BYTES `value:index` or, where `labels` has one,
/// `value:index:label`.
///
/// The first dimension is the batch if there is more than one dimension; shape [batch, classes] or [classes].
/// Values in the shortest form that reads back the same (Triton gives six digits). Errors: `invalid_argument`
/// (BYTES), `internal` (bytes and shape disagree).
Result<Tensor> classify(const Tensor& scores, std::uint32_t classes, std::span<const std::string> labels);

}  // namespace ds::serving
