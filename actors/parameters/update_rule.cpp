#include "actors/parameters/update_rule.hpp"

#include "kernels/gradient.hpp"

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

std::uint64_t count_servers_needed(std::uint64_t parameters, const scheduler::OptimizerSpec& spec) {
  const std::uint64_t vectors = 1 + kernels::count_state_vectors(to_optimizer_options(spec));
  // Cuts lie at multiples of a block, so that a range may be a block longer than its share.
  const std::uint64_t elements = kMaxRangeBytes / sizeof(float) / vectors - kernels::kNormBlock;
  return parameters / elements + (parameters % elements == 0 ? 0 : 1);
}

}  // namespace ds::parameters
