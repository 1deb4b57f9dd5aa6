#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "scheduler/policy/deadline/promises.hpp"
#include "scheduler/policy/elastic/goodput.hpp"
#include "scheduler/policy/elastic/speed_curve.hpp"
#include "scheduler/policy/size_rest.hpp"

namespace ds::scheduler {

/// The slots of one job: the number of the node of each, those of one node side by side. Empty: it waits.
using Slots = std::vector<std::uint32_t>;

/// How many different nodes `slots` are on.
std::uint32_t count_nodes(const Slots& slots);

struct ElasticCluster {
  std::vector<std::uint32_t> slots;  ///< of each node
  std::vector<std::uint32_t>
      kinds{};            ///< of each node, which kind of GPU it has, from 0; empty: all the same
  double round_s = 60;    ///< between two plans
  double restart_s = 30;  ///< what a change of a job's slots costs it: it holds them and stands still
  double clock_s = 0;     ///< what the clock by which jobs are submitted showed at time zero

  std::uint32_t total() const;
  std::uint32_t kind_of(std::size_t node) const { return kinds.empty() ? 0 : kinds[node]; }
  std::uint32_t count_kinds() const;
};

/// What a job is like on one kind of GPU.
struct OnKind {
  BatchLimits batch;
  std::optional<SpeedModel> speed;  ///< fitted to its step times on that kind; none: it has not run there
};

/// Rounds in a row in which a job had slots.
struct RunSpan {
  double from_s = 0;
  double to_s = 0;
};

/// What a job says that has to end before a time: its steps, and how fast it makes them.
struct DeadlineTerms {
  double deadline_s = 0;
  double steps_left = 1;
  std::span<const DeadlineSize> sizes;  ///< the smallest first, more slots are faster
};

/// What a policy with queues remembers of a job.
struct QueuePlace {
  std::uint32_t queue = 0;
  std::uint32_t list = 0;  ///< where a queue is several lists
  std::uint32_t at = 0;

  auto operator<=>(const QueuePlace&) const = default;
};

/// What a job that trains has told the live head of its speed.
struct ToldSpeed {
  std::span<const SizeMeasured> sizes;      ///< as `keep_measured` keeps them
  std::shared_ptr<const SpeedCurve> curve;  ///< `make_curve` of them
};

/// What a scheduler can see of a job: what it asked for, what it has, how it has run so far. Never what is
/// truly left to do.
struct ElasticJob {
  std::uint32_t id = 0;  ///< unique; smaller was submitted earlier
  double submitted_s = 0;
  std::uint32_t requested_slots = 1;
  std::uint32_t max_slots = 1;  ///< the most that an elastic policy may give it now
  Slots slots;
  std::span<const RunSpan> runs;  ///< the earliest first
  double run_s = 0;               ///< their sum
  double attained_slot_s = 0;     ///< slots times seconds
  double progress = 0;            ///< useful work done, in the unit of `Goodput`
  std::uint32_t restarts = 0;     ///< starts with slots, the first one too
  double standing_s = 0;          ///< how long it still stands still after its last change
  double unchanged_s = 0;         ///< since its slots changed
  BatchLimits batch;
  std::optional<SpeedModel> speed;  ///< fitted to step times, its own and of those like it; none before any
  GradientNoise noise;              ///< as it is now
  std::optional<double>
      usual_work{};  ///< progress with which it is likely to end, from jobs like it; none: nobody can say
  std::vector<OnKind>
      on_kinds;  ///< by kind where there are several, else empty; `batch` and `speed` are of the present one
  std::optional<double> restart_s{};  ///< what a change of its slots costs; else as `ElasticCluster` says
  bool is_rigid = false;              ///< it runs on `requested_slots` or not at all
  /// Seconds to its end on the slots that it asked for, if the epochs that its owner planned go on as fast as
  /// the present one; none where there is no such plan.
  std::optional<double> planned_s{};
  std::optional<DeadlineTerms> deadline{};
  std::optional<QueuePlace> place{};  ///< that the policy gave it when it planned last
  const Promise* promise = nullptr;   ///< what it was promised for its deadline; none: there is no answer yet
  /// Of one that trains as the live head has it; it may have any number of slots, up to `max_slots`.
  std::optional<ToldSpeed> told{};
  SizeRest rest{};  ///< as the policy left it when it planned last
};

/// What a policy wants.
struct Decision {
  std::vector<Slots> slots;  ///< as `ElasticPolicy::plan` says
  /// For each job, where all have deadlines that the policy answers for, else none: what the job is promised
  /// now, or that it is refused.
  std::vector<DeadlineAnswer> answers{};
  /// When a policy that plans at events wants to plan again though none comes.
  std::optional<double> wake_s{};
  std::vector<QueuePlace> places{};  ///< of each job, from policies with queues
  std::vector<SizeRest> rests{};     ///< of each job, from the live head's planner
};

/// What nobody can know in a live cluster; only for policies that stand for a bound.
class Oracle {
 public:
  virtual ~Oracle() = default;
  /// Steps to the end at the batch size that its owner asked for, at least 1.
  virtual double remaining_steps(std::uint32_t job) const = 0;
  /// True seconds a step at that batch size on `slots` slots, packed onto nodes of `slots_per_node`.
  virtual double step_seconds(std::uint32_t job, std::uint32_t slots, std::uint32_t slots_per_node) const = 0;
  /// The most slots among which that batch can be divided.
  virtual std::uint32_t max_slots(std::uint32_t job) const = 0;
};

/// Decides who has which slots from now on.
///
/// Pure: `plan` depends on its arguments alone, equal input gives an equal plan. A policy is one file with a
/// function that makes it, entered in `list_policies`.
class ElasticPolicy {
 public:
  virtual ~ElasticPolicy() = default;

  /// One entry for each of `jobs`, which are in the order of submission and not done; nodes are never
  /// overfilled. A job whose slots are equal to those it has goes on undisturbed.
  virtual std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                                  double now_s) const = 0;
  /// Whether it plans when jobs come or end, a round after the last plan at the earliest, instead of each
  /// round.
  virtual bool plans_at_events() const { return false; }
  /// Whether it plans when jobs come, a round after the last plan at the earliest, whatever ends in between,
  /// and each round once all have come.
  virtual bool plans_at_submissions() const { return false; }
  /// The same with answers to those who ask for a deadline; without any when the policy doesn't heed them.
  virtual Decision decide(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double now_s) const {
    return {plan(cluster, jobs, now_s)};
  }
};

/// When the published simulation of a policy charges jobs for restarts.
enum class RestartCharge {
  at_changes,   ///< when their slots change
  late,         ///< the same, but at the next plan, and not at all to a job that is done by then
  at_each_plan  ///< to all jobs at each plan while more are to come, whether or not their slots change
};

/// A policy that the simulator, `ds-sim`, offers by name.
struct PolicyEntry {
  std::string_view name;
  std::string_view summary;
  bool needs_oracle = false;
  bool adapts_batch =
      false;  ///< jobs choose theirs by the goodput on what they get; else it is their owner's
  bool learns_alone = false;     ///< of a job it knows what that one has shown, and nothing of jobs like it
  bool keeps_rigid = false;      ///< may be given rigid jobs
  bool gives_as_asked = false;   ///< a job gets the slots that it asked for or none
  bool keeps_deadlines = false;  ///< answers for them
  RestartCharge restart_charge = RestartCharge::at_changes;  ///< of jobs of ElasticFlow's traces
  bool chooses_kind = false;  ///< may be given a cluster with several kinds of GPU, of which a job gets one
  bool trains_live = false;   ///< jobs that can train do so as under the live head (`ElasticJob::told`)
  std::unique_ptr<ElasticPolicy> (*make)(const Oracle* oracle) = nullptr;  ///< the oracle must outlive it
};

std::span<const PolicyEntry> list_policies();
const PolicyEntry* find_policy(std::string_view name);  ///< nullptr when there is none

std::unique_ptr<ElasticPolicy> make_fifo_policy(const Oracle*);
std::unique_ptr<ElasticPolicy> make_live_policy(const Oracle*);
std::unique_ptr<ElasticPolicy> make_live_least_attained_policy(const Oracle*);
std::unique_ptr<ElasticPolicy> make_drf_policy(const Oracle*);
std::unique_ptr<ElasticPolicy> make_tiresias_policy(const Oracle*);
std::unique_ptr<ElasticPolicy> make_edf_policy(const Oracle*);
std::unique_ptr<ElasticPolicy> make_tiresias_queues_policy(const Oracle*);
std::unique_ptr<ElasticPolicy> make_gandiva_policy(const Oracle*);
std::unique_ptr<ElasticPolicy> make_optimus_policy(const Oracle* oracle);  ///< which must not be null
std::unique_ptr<ElasticPolicy> make_ds_policy(const Oracle*);

}  // namespace ds::scheduler
