#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "scheduler/policy/elastic/goodput.hpp"

namespace ds::scheduler {

/// A step as a job measured it.
struct StepMeasured {
  std::uint32_t nodes = 1;
  std::uint32_t slots = 1;
  double batch = 1;      ///< samples a slot
  double step_s = 0;     ///< all of it
  double compute_s = 0;  ///< without what was spent on waiting for the sum of the gradients
};

/// The model whose logarithms of step and compute times are nearest to the measured ones, in the sense of
/// least squares (Levenberg-Marquardt between bounds, from `start` or from a guess).
///
/// What has not been seen is taken to be as good as it could be, so that it is tried: no cost of a network
/// that the job has not used, but across nodes at least 1.1 times that within one, and none of more slots
/// before two numbers of them were used. With one batch size half of the compute time is taken to depend on
/// it. Pure. `measured` is not empty, its times are positive.
SpeedModel fit_speed(std::span<const StepMeasured> measured, const std::optional<SpeedModel>& start);

/// The largest ratio between a measured and the modelled step or compute time, at least 1.
double worst_ratio(const SpeedModel& model, std::span<const StepMeasured> measured);

}  // namespace ds::scheduler
