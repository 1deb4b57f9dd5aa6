#include "actors/train/optimizer.hpp"

#include "actors/parameters/update_rule.hpp"
#include "kernels/gradient.hpp"

namespace ds::train {

void clip_gradient(const scheduler::OptimizerSpec& spec, std::span<float> gradient) {
  if (spec.clip_value) kernels::clip_value(gradient, static_cast<float>(*spec.clip_value));
  if (!spec.clip_norm) return;
  const float factor = kernels::clip_factor(kernels::norm_of(gradient), *spec.clip_norm);
  if (factor < 1) kernels::scale(gradient, factor);
}

Optimizer::Optimizer(const scheduler::OptimizerSpec& spec, std::size_t count)
    : spec_(spec), options_(parameters::to_optimizer_options(spec)) {
  for (const std::string& name : parameters::state_names(options_))
    state_.emplace_back(name, std::vector<float>(count));
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
  clip_gradient(spec_, gradient);
  std::vector<std::span<float>> state;
  for (auto& [name, values] : state_) state.emplace_back(values);
  options_.lr = learning_rate;
  kernels::optimizer_step(options_, update, parameters, std::span<const float>(gradient), state);
}

}  // namespace ds::train
