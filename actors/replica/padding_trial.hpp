#pragma once

#include "actors/infer/served_model.hpp"
#include "actors/serving/padding.hpp"
#include "storage/result.hpp"

namespace ds::replica {

/// Lets requests of unlike lengths share a batch of the model, once it has been tried on random inputs: for
/// each bucket (of several lengths: for all that they make together) some shorter ones alone and as they are,
/// and padded in one batch. Always the same numbers.
///
/// Errors: `invalid_argument`, naming output, lengths and tolerance, when an answer is another one, when an
/// output to be cut does not carry the length or another one does, when the model fails on all that was
/// tried, and those of `serving::plan_padding`.
Result<void> use_padding(infer::ServedModel& model, const serving::PaddingWish& wanted);

}  // namespace ds::replica
