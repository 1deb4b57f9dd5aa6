#pragma once

#include <algorithm>
#include <cstdint>

#include "scheduler/spec/job_spec.hpp"

namespace ds::train {

/// After which steps something is due, whatever evaluations say. Pure.
class Boundaries {
 public:
  /// `spec` must outlive it.
  Boundaries(const scheduler::JobSpec& spec, std::uint64_t steps_per_epoch, std::uint64_t total_steps,
             bool has_validation)
      : spec_(spec),
        steps_per_epoch_(steps_per_epoch),
        total_steps_(total_steps),
        has_validation_(has_validation) {}

  bool is_evaluation(std::uint64_t step) const {
    if (!has_validation_ || step == 0) return false;
    if (step >= total_steps_) return true;
    const scheduler::ValidateSpec& rule = spec_.validate;
    if (rule.every_steps) return step % *rule.every_steps == 0;
    return step % (steps_per_epoch_ * rule.every_epochs) == 0;
  }

  /// The batches that the optimizer step after `step` takes, of `most`: none beyond an evaluation, the end of
  /// an epoch, or that of the job. At least 1.
  std::uint32_t count_batches(std::uint64_t step, std::uint32_t most) const {
    std::uint64_t room = steps_per_epoch_ - step % steps_per_epoch_;
    if (step < total_steps_) room = std::min(room, total_steps_ - step);
    if (const auto& every = spec_.validate.every_steps; has_validation_ && every)
      room = std::min(room, *every - step % *every);
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(most, 1, room));
  }

  bool is_checkpoint(std::uint64_t step) const {
    return step >= total_steps_ || step % steps_per_epoch_ == 0 || step % spec_.checkpoint.every_steps == 0;
  }

 private:
  const scheduler::JobSpec& spec_;
  std::uint64_t steps_per_epoch_, total_steps_;
  bool has_validation_;
};

}  // namespace ds::train
