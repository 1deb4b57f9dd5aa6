#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "actors/train/divergence.hpp"
#include "actors/train/model.hpp"
#include "actors/train/progress.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "storage/result.hpp"

namespace ds::train {

// Whether a step may change the parameters. Pure; all members look at the same sums, so they decide alike.

enum class Verdict {
  good,
  overflow,   ///< fp16: a gradient is not finite, the scale is halved
  not_finite  ///< passed over as `on_nan` allows
};

/// Of training that begins: sets the loss scaler to its start, for fp16.
void begin_scaling(const scheduler::JobSpec& spec, Progress& progress);

/// What losses are multiplied by: a power of two, 1 for other precisions.
double loss_scale(const scheduler::JobSpec& spec, const Progress& progress);

/// Takes the loss scale out of the summed gradients, once a step and before anything else looks at them.
void unscale(std::span<float> gradients, double scale);

/// Judges a step's unscaled sums, as `StepVector` lays them out: `gradients` of them first (none with
/// parameter servers, which tell in `on_servers` of the first gradient that is not finite). See
/// `judge_not_finite`.
Result<Verdict> judge_sums(const scheduler::JobSpec& spec, const std::vector<TensorSlot>& slots,
                           std::span<const float> sums, std::size_t gradients,
                           std::optional<std::size_t> on_servers, const Progress& progress,
                           std::uint64_t step);

/// Judges what is not finite in step number `step`, from 1. Whatever the loss is, a gradient that is not
/// finite in fp16 halves the scale, as PyTorch's GradScaler does, and counts as no fault. GradScaler would go
/// on for ever; here the scale does not sink below the smallest normal float32, of which the inverse is one
/// too: then, 142 halvings below the start, it is a fault like any other. `invalid_argument` names the step
/// and the first bad tensor when `on_nan` does not let a fault pass (again). Not the loss alone is looked at,
/// for a gradient that is not finite would spoil the parameters.
Result<Verdict> judge_not_finite(const scheduler::JobSpec& spec, const std::vector<TensorSlot>& slots,
                                 const NotFinite& what, const Progress& progress, std::uint64_t step);

/// Counts the step, and moves the scale as PyTorch's GradScaler does. A step that was passed over is not a
/// clean one.
void count_step(const scheduler::JobSpec& spec, Verdict verdict, Progress& progress);

}  // namespace ds::train
