#include "actors/train/optimizer.hpp"

#include "kernels/adamw.hpp"

namespace ds::train {

Optimizer::Optimizer(const scheduler::OptimizerSpec& spec, std::size_t parameters) : spec_(spec) {
  state_.emplace_back("first_moment", std::vector<float>(parameters));
  state_.emplace_back("second_moment", std::vector<float>(parameters));
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
  kernels::adamw_step(parameters, gradient, state_[0].second, state_[1].second,
                      {learning_rate, spec_.beta1, spec_.beta2, spec_.eps, spec_.weight_decay}, update);
}

}  // namespace ds::train
