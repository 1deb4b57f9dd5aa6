#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/simulator/input.hpp"

namespace ds::simulator {

/// How many of a job's slots are on each of its nodes, in the order of its list of slots.
using Placement = std::vector<std::uint32_t>;

Placement to_placement(const scheduler::Slots& slots);
/// `slots` slots on as few nodes as possible.
Placement pack(std::uint32_t slots, std::uint32_t slots_per_node);

struct StepTime {
  double step_s = 0;
  double sync_s = 0;  ///< of it, spent on summing gradients
};

/// Step times by samples a slot.
class StepCurve {
 public:
  void add(double batch, StepTime time) { points_.emplace_back(batch, time); }
  /// Sorts, and makes points of equal batch one by their mean.
  void finish();
  StepTime at(double batch) const;  ///< linear, beyond the ends as between the last two points

 private:
  std::vector<std::pair<double, StepTime>> points_;
};

/// One application of the Pollux traces (OSDI 2021): measured step times and training runs.
class ApplicationProfile {
 public:
  /// Reads `placements.csv`, `scalability.csv`, `unmeasured.csv` where there is one, and `validation-*.csv`;
  /// of the first three with a kind of GPU those that end with it, as `placements-rtx.csv`.
  static Read<ApplicationProfile> read(const std::filesystem::path& folder, std::string_view gpu = "");

  /// By the placement if it, or a rotation of it, was measured; else by its counts of nodes and slots, or the
  /// nearest counts there are.
  StepTime step(const Placement& placement, double batch) const;
  /// In epoch `epoch` (from zero) at `batch` samples a step, linear between the validated ones.
  scheduler::GradientNoise noise(double batch, std::uint32_t epoch) const;
  /// Progress at which epoch `epoch` ends.
  double end_of(std::uint32_t epoch) const { return ends_[epoch]; }
  /// Steps that so many epochs take at `batch` samples a step.
  double steps(double batch, std::uint32_t epochs) const;

  const std::string& name() const { return name_; }
  std::uint32_t epochs() const { return epochs_; }
  const scheduler::BatchLimits& limits() const { return limits_; }
  /// The most slots of one node that steps were measured with.
  std::uint32_t most_per_node() const { return most_per_node_; }
  /// Whether elastic policies run it on one slot at its largest batch, as Pollux does.
  bool is_pinned() const { return is_pinned_; }

 private:
  struct Epoch {
    double steps = 0;
    scheduler::GradientNoise noise;
  };
  struct Run {
    double batch = 0;
    std::vector<Epoch> epochs;
  };
  /// The runs around `batch`, and how far it is from the first to the second.
  struct Between {
    const Run& lower;
    const Run& upper;
    double share = 0;
  };
  Read<void> read_steps(const std::filesystem::path& folder, std::string_view gpu);
  Read<void> read_runs(const std::filesystem::path& folder);
  Between around(double batch) const;

  std::string name_;
  std::map<Placement, StepCurve> measured_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, StepCurve> by_count_;  ///< nodes, slots
  std::vector<Run> runs_;                                                  ///< by batch
  std::vector<double> ends_;
  scheduler::BatchLimits limits_;
  std::uint32_t epochs_ = 0;
  std::size_t most_nodes_ = 0;  ///< of a measured placement
  std::uint32_t most_per_node_ = 0;
  bool is_pinned_ = false;
};

/// The applications by name: one for each folder of `profiles` that the traces' README names.
Read<std::map<std::string, ApplicationProfile>> read_applications(const std::filesystem::path& profiles,
                                                                  std::string_view gpu = "");

}  // namespace ds::simulator
