#include "actors/train/optimizer.hpp"

#include "kernels/gradient.hpp"

namespace ds::train {
namespace {

kernels::OptimizerOptions options_of(const scheduler::OptimizerSpec& spec) {
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

}  // namespace

Optimizer::Optimizer(const scheduler::OptimizerSpec& spec, std::size_t parameters)
    : spec_(spec), options_(options_of(spec)) {
  const char* const names[] = {"first_moment", "second_moment"};  // sgd's velocity is the first
  for (std::size_t i = 0; i < kernels::count_state_vectors(options_); ++i)
    state_.emplace_back(names[i], std::vector<float>(parameters));
}

std::vector<std::pair<std::string, std::span<float>>> Optimizer::state() {
  std::vector<std::pair<std::string, std::span<float>>> views;
  for (auto& [name, values] : state_) views.emplace_back(name, values);
  return views;
}

std::vector<std::pair<std::string, std::span<const float>>> Optimizer::state() const {
  std::vector<std::pair<std::string, std::span<const float>>> views;
  for (const auto& [name, values] : state_) views.emplace_back(name, values);
  return views;
}

void Optimizer::apply(std::span<float> parameters, std::span<float> gradient, double learning_rate,
                      std::uint64_t update) {
  if (spec_.clip_value) kernels::clip_value(gradient, static_cast<float>(*spec_.clip_value));
  if (spec_.clip_norm) {
    const float factor = kernels::clip_factor(kernels::norm_of(gradient), *spec_.clip_norm);
    if (factor < 1) kernels::scale(gradient, factor);
  }
  std::vector<std::span<float>> state;
  for (auto& [name, values] : state_) state.emplace_back(values);
  options_.lr = learning_rate;
  kernels::optimizer_step(options_, update, parameters, std::span<const float>(gradient), state);
}

}  // namespace ds::train
