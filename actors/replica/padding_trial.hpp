#pragma once

#include <chrono>
#include <cstdint>

#include "actors/infer/served_model.hpp"
#include "actors/serving/padding.hpp"
#include "storage/result.hpp"

namespace ds::replica {

/// Bytes of all inputs of a full batch, once they are padded.
inline constexpr std::uint64_t kMostBatchBytes = std::uint64_t{1} << 30U;
/// How long a model is tried: while it is, it answers nobody.
inline constexpr std::chrono::milliseconds kLongestTrial = std::chrono::minutes(1);

/// Lets requests of unlike lengths share a batch of the model, once it has been tried on random inputs: for
/// each bucket (of several lengths: for all that they make together) some shorter ones alone and as they are,
/// and padded in one batch. Always the same numbers.
///
/// Errors: `invalid_argument`, naming output, lengths and tolerance, when an answer is another one, when an
/// output to be cut does not carry the length or another one does, when the model fails on all that was
/// tried, when a full batch could have more than `kMostBatchBytes`, when trying takes longer than `longest`
/// (a run that has begun is waited for), and those of `serving::plan_padding`. `unavailable`
/// when a run has lost the GPU, which says nothing of the model: it is tried with nothing else then. On a GPU
/// whole numbers are the smallest that the model takes, since one that it has no place for would lose it.
Result<void> use_padding(infer::ServedModel& model, const serving::PaddingWish& wanted,
                         std::chrono::milliseconds longest = kLongestTrial);

}  // namespace ds::replica
