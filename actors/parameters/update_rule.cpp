#include "actors/parameters/update_rule.hpp"

namespace ds::parameters {

kernels::OptimizerOptions to_optimizer_options(const scheduler::OptimizerSpec& spec) {
  kernels::OptimizerOptions options;
  options.kind = spec.name == "sgd"    ? kernels::OptimizerKind::sgd
                 : spec.name == "adam" ? kernels::OptimizerKind::adam
                                       : kernels::OptimizerKind::adamw;
  options.momentum = spec.momentum;
  options.nesterov = spec.nesterov;
  options.beta1 = spec.beta1;
  options.beta2 = spec.beta2;
  options.eps = spec.eps;
  options.weight_decay = spec.weight_decay;
  return options;
}

std::vector<std::string> state_names(const kernels::OptimizerOptions& options) {
  std::vector<std::string> names{"first_moment", "second_moment"};  // sgd's velocity is the first
  names.resize(kernels::count_state_vectors(options));
  return names;
}

}  // namespace ds::parameters
