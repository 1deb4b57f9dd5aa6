#include "scheduler/simulator/experience.hpp"

#include <algorithm>

namespace ds::simulator {
namespace {

/// A fit that is this near to a new measurement is left as it is.
constexpr double kGoodFit = 1.02;
/// The newest measurements that a fit is made from.
constexpr std::size_t kMaxMeasured = 64;

}  // namespace

void Experience::add_step(std::size_t kind, const scheduler::StepMeasured& step) {
  auto& [measured, speed, has_scaled] = kinds_[kind];
  bool is_new_size = true;
  for (const scheduler::StepMeasured& other : measured) {
    if (other.nodes != step.nodes || other.slots != step.slots) continue;
    if (other.batch == step.batch) return;
    is_new_size = false;
  }
  most_slots_ = std::max(most_slots_, step.slots);
  has_scaled |= step.slots > 1;
  if (measured.size() == kMaxMeasured) measured.erase(measured.begin());
  measured.push_back(step);
  if (speed && !is_new_size && scheduler::worst_ratio(*speed, {&step, 1}) < kGoodFit) return;
  speed = scheduler::fit_speed(measured, speed);
}

void Experience::add_first_noise(const scheduler::GradientNoise& noise) {
  if (!first_noise_) first_noise_ = noise;
}

std::optional<scheduler::SpeedModel> Experience::speed_on(std::size_t kind) const {
  std::optional<scheduler::SpeedModel> speed = kinds_[kind].speed;
  if (!speed || kinds_[kind].has_scaled) return speed;
  // Waiting for the network on a kind that several slots of were used is a better guess than no waiting.
  for (const OnKind& other : kinds_) {
    if (!other.has_scaled) continue;
    scheduler::SpeedModel model = *other.speed;
    model.compute_base = speed->compute_base;
    model.compute_sample = speed->compute_sample;
    return model;
  }
  return speed;
}

std::optional<double> Experience::work(double progress) const {
  if (work_ || furthest_ <= progress) return work_;
  return 2 * furthest_;
}

std::shared_ptr<Experience> Experiences::of(const scheduler::BatchLimits& limits) {
  auto& known = known_[{limits.base, limits.max, limits.min_per_slot, limits.max_per_slot}];
  if (!known) known = std::make_shared<Experience>(kinds_);
  return known;
}

}  // namespace ds::simulator
