#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "scheduler/policy/elastic/speed_fit.hpp"

namespace ds::simulator {

/// What jobs that are like each other have shown in the run so far: a scheduler that has seen a program
/// before knows how it scales, how noisy its gradient is at first, and how much work it was. Of jobs that are
/// still to come, and of what is left of those that run, it says nothing.
class Experience {
 public:
  explicit Experience(std::size_t kinds) : kinds_(kinds) {}

  /// A job made steps on that kind of GPU. Refits that kind's model where it is off or the size is new.
  void add_step(std::size_t kind, const scheduler::StepMeasured& step);
  /// The first noise that a job of these showed counts for those that have not begun.
  void add_first_noise(const scheduler::GradientNoise& noise);
  /// A job ended after so much progress.
  void add_end(double progress) { work_ = progress; }
  /// A job has made so much progress and goes on.
  void add_progress(double progress) { furthest_ = std::max(furthest_, progress); }

  bool has_steps(std::size_t kind) const { return !kinds_[kind].measured.empty(); }
  /// None before the first step. The network of a kind on which no job had several slots is taken from
  /// another one.
  std::optional<scheduler::SpeedModel> speed_on(std::size_t kind) const;
  std::uint32_t most_slots() const { return most_slots_; }  ///< that steps were made with
  const std::optional<scheduler::GradientNoise>& first_noise() const { return first_noise_; }
  /// How much progress a job that has made `progress` is likely to need: as much as the last that ended did.
  /// While none has ended, twice what the one has made that is furthest, if that is another one.
  std::optional<double> work(double progress) const;

 private:
  struct OnKind {
    std::vector<scheduler::StepMeasured> measured;
    std::optional<scheduler::SpeedModel> speed;
    bool has_scaled = false;  ///< on several slots
  };
  std::vector<OnKind> kinds_;
  std::uint32_t most_slots_ = 0;
  std::optional<scheduler::GradientNoise> first_noise_;
  std::optional<double> work_;
  double furthest_ = 0;
};

/// Tells jobs that are like each other by their batch limits, which is all that they have in common for a
/// scheduler that does not know what runs.
class Experiences {
 public:
  explicit Experiences(std::size_t kinds) : kinds_(kinds) {}

  std::shared_ptr<Experience> of(const scheduler::BatchLimits& limits);

 private:
  std::size_t kinds_;
  std::map<std::tuple<double, double, double, double>, std::shared_ptr<Experience>> known_;
};

}  // namespace ds::simulator
