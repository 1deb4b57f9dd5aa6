#pragma once

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

  bool is_checkpoint(std::uint64_t step) const {
    return step >= total_steps_ || step % steps_per_epoch_ == 0 || step % spec_.checkpoint.every_steps == 0;
  }

 private:
  const scheduler::JobSpec& spec_;
  std::uint64_t steps_per_epoch_, total_steps_;
  bool has_validation_;
};

}  // namespace ds::train
