#pragma once

#include <cstdint>
#include <optional>

#include "actors/train/progress.hpp"
#include "scheduler/policy/elastic/batch_growth.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::train {

// How large a step's batch is in a job that may change it (`batch.max_global`): a step takes several batches
// of `batch.global` samples in a row, a power of two of them (`choose_batches`). All is a function of the job
// and its shared state, so neither the number of workers nor a restart shows in it. Pure.

using scheduler::choose_batches;
using scheduler::kGrowEvery;

/// What the learning rate of a step that takes `batches` is multiplied by; 1 for one.
///
/// `sgd`: by what the step is worth, in steps of one batch (AdaScale, Johnson et al., ICML 2020):
/// (noise/B + 1) / (noise/(batches B) + 1), from 1 without noise to `batches` when all is noise, which is
/// also taken where the scale isn't known. `adam`, `adamw`: by the square root of `batches` (Malladi et al.,
/// NeurIPS 2022).
double batch_rate_factor(const scheduler::JobSpec& spec, std::uint32_t batches,
                         std::optional<double> noise_scale);

/// Batches that a step takes now where nothing is in its way; see `Boundaries::count_batches`.
std::uint32_t batches_now(const scheduler::JobSpec& spec, const Progress& progress);

/// Of the optimizer, that led to `step`; those too that changed nothing.
std::uint64_t count_optimizer_steps(std::uint64_t step, const Progress& progress);

/// Counts an optimizer step after `step` that takes so many batches, and looks at how many the next one takes
/// where that is due.
void count_batches(const scheduler::JobSpec& spec, std::uint64_t step, std::uint32_t taken,
                   std::optional<double> noise_scale, Progress& progress);

/// Which batches an optimizer step takes: `batches` after `step` of `total`.
struct BatchRun {
  std::uint64_t step = 0, total = 0;
  std::uint32_t batches = 1;
};
/// The schedule goes by batches: a step that takes several has the mean of their factors.
double step_learning_rate(const scheduler::JobSpec& spec, const BatchRun& run,
                          std::optional<double> noise_scale);

}  // namespace ds::train
