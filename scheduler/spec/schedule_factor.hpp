#pragma once

#include <cstdint>

#include "scheduler/spec/train_spec.hpp"

namespace ds::scheduler {

/// What `optimizer.lr` is multiplied by in step `step` of `total`, both counted so that the first step is 0
/// and the last `total` - 1.
///
/// During `warmup` steps it rises from 1 / `warmup` in equal parts, to 1 in the last of them. `linear` and
/// `cosine` then fall from 1 in the step after to `final` in the job's last; `step` is cut by `factor` at
/// each multiple of `every`, or at each step of `at`. A job without a step after those of warm-up and the one
/// behind does not fall. Pure, and the same bits on every processor.
double schedule_factor(const ScheduleSpec& schedule, std::uint64_t step, std::uint64_t total);

}  // namespace ds::scheduler
