#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/simulator/input.hpp"
#include "scheduler/simulator/simulated_job.hpp"
#include "scheduler/simulator/slot_use.hpp"

namespace ds::simulator {

/// Epochs in a row at one batch size.
struct EpochRun {
  std::uint32_t epochs = 1;
  double epoch_s = 1;  ///< seconds an epoch on the slots that were asked for
};

/// A line, or a few, of a workload of rigid jobs.
struct RigidSubmission {
  std::string name;
  double submitted_s = 0;
  std::uint32_t slots = 1;
  std::vector<EpochRun> runs{};  ///< at least one
  bool has_plan = true;          ///< whether its owner says how many epochs it has
  FilePlace at{};                ///< where it asks for slots
};

/// A job that needs just the slots that it asked for, on whatever nodes, as in the Shockwave traces (NSDI
/// 2023) and Philly's. It changes its batch size by itself after some epochs, which changes its speed. Its
/// owner may say how many epochs it has; how fast the later ones are nobody knows.
class RigidJob final : public SimulatedJob {
 public:
  RigidJob(std::uint32_t id, RigidSubmission submission, double restart_s);

  const std::string& name() const override { return submission_.name; }
  double submitted_s() const override { return submission_.submitted_s; }
  double alone_s() const override { return restart_s_ + total_s_; }
  bool is_done() const override { return is_done_; }
  double done_s() const override { return done_s_; }
  std::optional<double> news_s(double now_s) const override;
  double advance(double from_s, double seconds) override;
  void give(const scheduler::Slots& slots, double now_s) override { use_.give(slots, now_s); }
  const scheduler::Slots& slots() const override { return use_.slots(); }
  /// Progress is in epochs; `planned_s` takes the present epoch's speed for all that are left, where there is
  /// a plan.
  scheduler::ElasticJob view() const override;

 private:
  std::uint32_t id_;
  RigidSubmission submission_;
  double restart_s_;
  double total_s_ = 0;
  double total_epochs_ = 0;
  SlotUse use_;
  double moved_s_ = 0;  ///< of `total_s_`
  bool is_done_ = false;
  double done_s_ = 0;
};

}  // namespace ds::simulator
