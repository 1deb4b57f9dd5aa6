#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/simulator/input.hpp"
#include "scheduler/simulator/simulated_job.hpp"

namespace ds::simulator {

/// From when to when a job had how many slots.
struct SlotSpan {
  double from_s = 0;
  double to_s = 0;
  std::uint32_t slots = 0;
};

struct JobOutcome {
  std::string name;
  double submitted_s = 0;
  double done_s = 0;
  double alone_s = 0;  ///< on the slots that were asked for
  double slot_s = 0;   ///< slots held times seconds
  std::uint32_t restarts = 0;
  std::optional<double> deadline_s{};
  /// The policy accepted its deadline or refused it; none: it was not asked. A refused job never runs, and
  /// its `done_s` and all that follows from it mean nothing.
  std::optional<bool> is_admitted{};
  std::optional<double> earliest_deadline_s{};  ///< what a refused one could have been promised
  std::vector<SlotSpan> spans{};                ///< the earliest first

  bool was_refused() const { return !is_admitted.value_or(true); }
};

struct Outcome {
  std::vector<JobOutcome> jobs;  ///< in the order of submission
  double makespan_s = 0;         ///< from zero to the last end
  double busy_slot_s = 0;        ///< of the slots held, those in which steps were made
  std::uint32_t cluster_slots = 0;
  std::vector<double> decision_ms;  ///< of each plan
};

struct SimulationSettings {
  scheduler::ElasticCluster cluster;
  std::vector<std::string> kinds;       ///< names of its kinds of GPU, where there are several
  bool models_restarts = false;         ///< by the family's own rule, not as the cluster says
  bool heeds_events = false;            ///< between rounds too; see `simulate`
  double time_limit_s = 400 * 86400.0;  ///< from the last submission on
  std::function<double()> clock_ms;     ///< real time, for `decision_ms`; may be empty
  Warn warn;                            ///< may be empty
};

/// Runs the jobs to their ends. In each round, or at the events that the policy wants in place of rounds,
/// they first move on; then the policy plans for those submitted and not done; then jobs whose slots differ
/// get the new ones, and those whose deadlines it refuses go. Refuses a plan that overfills a node or splits
/// a rigid job or puts one on several kinds of GPU, and to go on after `time_limit_s` from the last
/// submission. Deterministic.
///
/// With `heeds_events` a policy that plans in rounds also does at once, a second after its last plan at the
/// earliest, when a job comes, ends or has news; then the next round is counted from there.
Read<Outcome> simulate(Jobs& jobs, const scheduler::ElasticPolicy& policy,
                       const SimulationSettings& settings);

}  // namespace ds::simulator
