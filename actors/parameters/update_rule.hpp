#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/optimizer.hpp"
#include "scheduler/spec/train_spec.hpp"

namespace ds::parameters {

/// A job's optimizer as the kernels know it; the learning rate is each update's own. Pure.
kernels::OptimizerOptions to_optimizer_options(const scheduler::OptimizerSpec& spec);

/// What the optimizer's vectors are called in a checkpoint, in the kernels' order. Pure.
std::vector<std::string> state_names(const kernels::OptimizerOptions& options);

/// A range's parameters and optimizer vectors travel in one frame.
inline constexpr std::uint64_t kMaxRangeBytes = std::uint64_t{1} << 30;

/// How many servers a model of `parameters` elements needs at least, so that no range exceeds
/// `kMaxRangeBytes`. Pure.
std::uint64_t count_servers_needed(std::uint64_t parameters, const scheduler::OptimizerSpec& spec);

}  // namespace ds::parameters
