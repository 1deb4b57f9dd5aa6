#pragma once

#include <cstdint>
#include <optional>

#include "scheduler/spec/job_spec.hpp"

namespace ds::scheduler {

// How many batches of `batch.global` an optimizer step takes in a job that may change that
// (`batch.max_global`): a power of two of them. Whatever becomes of the workers, it is the same. Pure.

/// After so many optimizer steps each the number of batches a step is looked at: eight measurements of the
/// noise.
inline constexpr std::uint64_t kGrowEvery = 64;

/// The batches that a step takes from now on, of `now` so far. Noise scales are in samples, 0 without noise;
/// while there is none, it is not known: nothing changes.
///
/// Twice as many when a step would still have at most as many samples as the noise scale: there the noise of
/// a step's gradient is as large as the gradient, and a step of the double batch is worth 3/2 of one
/// (McCandlish et al., 2018). Half as many when the noise scale is below half of what they have. So between
/// growing and shrinking back the noise scale has halved.
std::uint32_t choose_batches(const BatchSpec& batch, std::uint32_t now, std::optional<double> noise_scale);

}  // namespace ds::scheduler
