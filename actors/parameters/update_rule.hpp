#pragma once

#include <string>
#include <vector>

#include "kernels/optimizer.hpp"
#include "scheduler/spec/train_spec.hpp"

namespace ds::parameters {

/// A job's optimizer as the kernels know it; the learning rate is each update's own. Pure.
kernels::OptimizerOptions to_optimizer_options(const scheduler::OptimizerSpec& spec);

/// What the optimizer's vectors are called in a checkpoint, in the kernels' order. Pure.
std::vector<std::string> state_names(const kernels::OptimizerOptions& options);

}  // namespace ds::parameters
