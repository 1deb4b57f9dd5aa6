#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/simulator/input.hpp"
#include "scheduler/simulator/simulated_job.hpp"
#include "scheduler/simulator/slot_use.hpp"
#include "scheduler/simulator/throughput_table.hpp"

namespace ds::simulator {

/// One line of an ElasticFlow workload. Its times are from the first submission of the workload on.
struct ElasticFlowSubmission {
  std::string name;
  double submitted_s = 0;
  double deadline_s = 0;
  double steps = 1;
  const StepRates* rates = nullptr;    ///< must outlive the job
  std::uint32_t slots = 1;             ///< one of the measured numbers
  std::optional<double> duration_s{};  ///< on that number, start excluded; none: as measured
  FilePlace at{};                      ///< where it asks for slots
};

/// What a change to so many slots costs a job in the simulator of ElasticFlow's authors, in seconds; they add
/// 27 s every 60th time, which is left out but where each plan charges.
double elasticflow_restart_s(std::uint32_t slots);

/// A job of the ElasticFlow traces (ASPLOS 2023): so many steps at a fixed batch size, at the measured rate
/// of the slots that it has. Which nodes they are on makes no difference.
class ElasticFlowJob final : public SimulatedJob {
 public:
  /// A restart costs `restart_s`; without it as `elasticflow_restart_s` says. `charge` is when. What it owes
  /// at a plan without slots, `at_each_plan`, it stands still for when it next has some.
  ElasticFlowJob(std::uint32_t id, ElasticFlowSubmission submission, std::optional<double> restart_s,
                 scheduler::RestartCharge charge = scheduler::RestartCharge::at_changes);

  const std::string& name() const override { return submission_.name; }
  double submitted_s() const override { return submission_.submitted_s; }
  std::optional<double> deadline_s() const override { return submission_.deadline_s; }
  double alone_s() const override;
  bool is_done() const override { return is_done_; }
  double done_s() const override { return done_s_; }
  std::optional<double> news_s(double now_s) const override;
  double advance(double from_s, double seconds) override;
  void give(const scheduler::Slots& slots, double now_s) override;
  void note_plan(std::uint64_t nth) override;
  const scheduler::Slots& slots() const override { return use_.slots(); }
  /// With its deadline, steps and rates, but without a speed model and gradient noise, which these traces
  /// don't have.
  scheduler::ElasticJob view() const override;

 private:
  double rate(std::uint32_t slots) const;
  double restart_s(std::uint32_t slots) const { return restart_s_.value_or(elasticflow_restart_s(slots)); }

  std::uint32_t id_;
  ElasticFlowSubmission submission_;
  std::optional<double> restart_s_;
  scheduler::RestartCharge charge_;
  std::vector<scheduler::DeadlineSize> sizes_;  ///< those that are faster than all smaller ones
  SlotUse use_;
  double steps_done_ = 0;
  bool is_done_ = false;
  double done_s_ = 0;
};

}  // namespace ds::simulator
