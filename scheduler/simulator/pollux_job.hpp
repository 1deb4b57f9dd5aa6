#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/simulator/application_profile.hpp"
#include "scheduler/simulator/experience.hpp"
#include "scheduler/simulator/simulated_job.hpp"
#include "scheduler/simulator/slot_use.hpp"

namespace ds::simulator {

/// One line of a Pollux or Sia workload.
struct PolluxSubmission {
  std::string name;
  double submitted_s = 0;
  std::vector<const ApplicationProfile*> applications;  ///< by kind of GPU; must outlive the job
  std::uint32_t slots = 1;
  double batch = 1;  ///< samples a step
  FilePlace at{};    ///< where it asks for slots
};

struct PolluxSettings {
  double restart_s = 30;
  double slowdown = 1;                       ///< what goodput is divided by
  std::uint32_t max_slots = 64;              ///< of one job
  bool adapts_batch = false;                 ///< by the fitted goodput; else the owner's batch size
  std::vector<std::uint32_t> node_kinds{};   ///< kind of GPU of each node, as in `ElasticCluster`
  std::shared_ptr<Experience> experience{};  ///< of jobs like it, which it adds to; none: only its own
};

/// A job of the Pollux simulator (OSDI 2021): `traces/pollux-osdi21/README.md` has the rules that are
/// followed here to the last digit. With several kinds of GPU it is one of Sia's (SOSP 2023), which runs on
/// one kind at a time and knows its steps on one slot of each from the start, as it was profiled.
class PolluxJob final : public SimulatedJob {
 public:
  PolluxJob(std::uint32_t id, PolluxSubmission submission, const PolluxSettings& settings);

  const std::string& name() const override { return submission_.name; }
  double submitted_s() const override { return submission_.submitted_s; }
  double alone_s() const override;
  bool is_done() const override { return epoch_ == application().epochs(); }
  double done_s() const override { return done_s_; }
  /// It has made its first step since its slots changed, or ends an epoch, the last one too.
  std::optional<double> news_s(double now_s) const override;
  double advance(double from_s, double seconds) override;
  void give(const scheduler::Slots& slots, double now_s) override;
  const scheduler::Slots& slots() const override { return use_.slots(); }
  scheduler::ElasticJob view() const override;

  // What an oracle says.
  double remaining_steps() const;
  double true_step_s(std::uint32_t slots, std::uint32_t slots_per_node) const;
  std::uint32_t max_divisible_slots() const;

 private:
  struct Pace {
    double goodput = 0;
    StepTime time;
    scheduler::GradientNoise noise;
  };
  const ApplicationProfile& application() const { return *submission_.applications[kind_]; }
  void profile_kinds();
  bool has_kinds() const { return submission_.applications.size() > 1; }
  /// As it is now, or as jobs like it began.
  const scheduler::GradientNoise& noise() const;
  Pace pace(const Placement& placement, const scheduler::BatchChoice& choice, std::uint32_t epoch) const;
  void measure(const Pace& pace);
  void choose_batch();

  std::uint32_t id_;
  PolluxSubmission submission_;
  PolluxSettings settings_;
  SlotUse use_;
  Placement placement_;
  scheduler::BatchChoice choice_;
  bool has_stepped_ = false;  ///< since its slots changed
  double progress_ = 0;
  std::uint32_t epoch_ = 0;  ///< finished ones
  double done_s_ = 0;
  std::size_t kind_ = 0;  ///< of GPU, that it is on or was last
  std::shared_ptr<Experience> experience_;
  std::optional<scheduler::GradientNoise> noise_;  ///< none before the first step
};

/// Knows the jobs of a simulation.
class PolluxOracle final : public scheduler::Oracle {
 public:
  explicit PolluxOracle(std::vector<const PolluxJob*> jobs) : jobs_(std::move(jobs)) {}
  double remaining_steps(std::uint32_t job) const override { return jobs_[job]->remaining_steps(); }
  double step_seconds(std::uint32_t job, std::uint32_t slots, std::uint32_t slots_per_node) const override {
    return jobs_[job]->true_step_s(slots, slots_per_node);
  }
  std::uint32_t max_slots(std::uint32_t job) const override { return jobs_[job]->max_divisible_slots(); }

 private:
  std::vector<const PolluxJob*> jobs_;  ///< by id
};

}  // namespace ds::simulator
