#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/policy/elastic/step_times.hpp"
#include "scheduler/simulator/application_profile.hpp"
#include "scheduler/simulator/pollux_job.hpp"
#include "scheduler/simulator/simulated_job.hpp"
#include "scheduler/simulator/slot_use.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::simulator {

/// A job of Pollux's traces as one of ours would train it: `workers: {min: 1, max: its slots}`.
///
/// Its owner's batch is cut into as many shares as it may have workers, and a worker computes its shares one
/// after the other, whatever their number, so that the weights stay the same (`actors/train`). It may grow up
/// to the largest batch of its application by `choose_batches`. Step times, noise and progress are the
/// traces'; what it tells of its speed goes through the rules of the live head (`StepTimes`, `make_curve`).
class LiveJob final : public SimulatedJob {
 public:
  LiveJob(std::uint32_t id, PolluxSubmission submission, double restart_s);

  const std::string& name() const override { return submission_.name; }
  double submitted_s() const override { return submission_.submitted_s; }
  double alone_s() const override;
  bool is_done() const override { return epoch_ == application().epochs(); }
  double done_s() const override { return done_s_; }
  /// It ends, has measured its speed, or changes its batch.
  std::optional<double> news_s(double now_s) const override;
  double advance(double from_s, double seconds) override;
  void give(const scheduler::Slots& slots, double now_s) override;
  const scheduler::Slots& slots() const override { return use_.slots(); }
  scheduler::ElasticJob view() const override;

 private:
  struct Pace {
    double step_s = 0, compute_s = 0;  ///< of the optimizer
    double goodput = 0;                ///< progress a second
  };
  const ApplicationProfile& application() const { return *submission_.applications.front(); }
  std::uint32_t batch_samples() const { return batches_ * batch_.global; }
  Pace pace(const Placement& placement) const;
  void begin_steps();
  double make_steps(double most_s);
  void report(const Pace& pace);
  void look_at_batch();
  void learn_curve();

  std::uint32_t id_;
  PolluxSubmission submission_;
  scheduler::BatchSpec batch_;
  std::uint32_t shares_ = 1;
  double share_passes_ = 1;  ///< in which a share is computed
  double restart_s_;
  SlotUse use_;
  Placement placement_;
  double progress_ = 0;
  std::uint32_t epoch_ = 0;  ///< finished ones
  double done_s_ = 0;
  std::uint32_t batches_ = 1;  ///< that a step takes
  double steps_ = 0;           ///< of the optimizer

  // Since it has these slots.
  bool is_beginning_ = true;  ///< it has not made a step
  bool was_resized_ = false;  ///< rather than started
  double stood_s_ = 0;
  double steps_here_ = 0;
  std::uint32_t reports_ = 0;  ///< that are of interest yet

  scheduler::StepTimes times_;
  double resize_s_ = 0;
  std::vector<scheduler::SizeMeasured> sizes_;
  std::vector<double> resizes_s_;
  std::shared_ptr<const scheduler::SpeedCurve> curve_;
  std::uint32_t news_ = 0;  ///< how often it had any
  mutable std::optional<double> next_news_s_;
};

}  // namespace ds::simulator
