#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/optimizer.hpp"
#include "scheduler/spec/train_spec.hpp"

namespace ds::train {

/// Clips in place, by value and then by norm, as the job says.
void clip_gradient(const scheduler::OptimizerSpec& spec, std::span<float> gradient);

/// A job's optimizer with its state: flat float32 vectors of the parameters' length.
class Optimizer {
 public:
  Optimizer(const scheduler::OptimizerSpec& spec, std::size_t parameters);

  /// By the names that they have in a `StateImage`.
  std::vector<std::pair<std::string, std::span<float>>> state();
  std::vector<std::pair<std::string, std::span<const float>>> state() const;

  /// Clips `gradient` in place and changes `parameters`; `update` counts the updates made, this one included.
  void apply(std::span<float> parameters, std::span<float> gradient, double learning_rate,
             std::uint64_t update);

 private:
  scheduler::OptimizerSpec spec_;
  kernels::OptimizerOptions options_;
  std::vector<std::pair<std::string, std::vector<float>>> state_;
};

}  // namespace ds::train
