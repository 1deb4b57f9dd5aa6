#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/spec/command_spec.hpp"
#include "scheduler/spec/role.hpp"
#include "scheduler/spec/serve_spec.hpp"
#include "scheduler/spec/slot_count.hpp"
#include "scheduler/spec/train_spec.hpp"

namespace ds::scheduler {

enum class JobKind { train, command, serve };

/// As in job files.
std::string_view to_string(JobKind kind);

/// How many workers a job runs with: all of `min` or none, never more than `max`.
struct WorkerCount {
  std::uint32_t min = 1;
  std::uint32_t max = 1;
  bool operator==(const WorkerCount&) const = default;
};

/// Where the workers of a job go. `spread`: no two on one node as long as others have room. `same_node`: all
/// on one node, or none.
enum class PlacementRule { pack, spread, same_node };

/// The words that a job file may give for a priority are `low`, `normal`, `high` and `critical`.
inline constexpr std::uint32_t kLowPriority = 100, kNormalPriority = 500, kHighPriority = 800,
                               kCriticalPriority = 1000;

/// What one worker needs.
struct Resources {
  SlotCount cpus = 1;  ///< slots
  std::uint64_t memory_bytes = 2ULL << 30;
  std::uint32_t gpus = 0;
  std::string gpu_kind = {};  ///< as its file has it, see `is_gpu_kind`; empty: any
  /// For tensor operations: one for each whole slot, one for less than that.
  std::uint32_t threads() const {
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, cpus.rounded_down()));
  }
  bool operator==(const Resources&) const = default;
};

inline constexpr std::int64_t kDefaultRetentionMs = std::int64_t{30} * 24 * 3'600'000;

/// A job as its file describes it, defaults filled in. A plain value; see `parse_job_file`.
struct JobSpec {
  JobKind kind = JobKind::train;
  std::string name;  ///< `[a-z0-9][a-z0-9._-]{0,62}`
  std::string description;
  std::map<std::string, std::string> labels;
  std::string tenant = "default";
  std::string queue = "default";             ///< of the tenant
  std::uint32_t priority = kNormalPriority;  ///< larger is more urgent
  bool preemptible = true;                   ///< may be shrunk, and lose its workers to a more urgent job
  Resources resources;
  WorkerCount workers;
  PlacementRule placement = PlacementRule::pack;
  std::uint32_t restart_limit =
      3;  ///< crashes in a row without a committed step before the job fails; of a command: in all
  std::optional<CommandSpec> command;   ///< of a `command` job, which has nothing of what follows
  std::optional<ServeSpec> serve;       ///< of a `serve` job, likewise; `workers` are its replicas
  std::int64_t start_after_ms = 0;      ///< it starts so long after its submission at the earliest
  std::int64_t start_at_ms = 0;         ///< and not before this moment (Unix time); 0: none is given
  std::vector<std::string> depends_on;  ///< ids or names of jobs that must have succeeded before it starts
  std::int64_t time_limit_ms = 0;       ///< it has failed when it has run for so long; 0: no limit
  std::int64_t retention_ms = kDefaultRetentionMs;  ///< for so long it is known after its end
  std::int64_t deadline_after_ms = 0;               ///< it must have ended so long after its submission
  std::int64_t deadline_at_ms = 0;                  ///< or by this moment (Unix time); both 0: no deadline
  DataSpec data;
  ModelSpec model;
  std::vector<LossTerm> loss{LossTerm{}};  ///< at least one
  BatchSpec batch;
  OptimizerSpec optimizer;
  ScheduleSpec schedule;
  ValidateSpec validate;
  std::optional<EarlyStop> early_stop;
  Until until;
  CheckpointSpec checkpoint;
  StrategySpec strategy;
  std::string precision = "fp32";  ///< fp32, bf16, fp16
  Tolerance on_nan;                ///< steps whose loss or gradient is not finite
  std::uint64_t seed = 0;
  bool audit = false;  ///< workers record which samples each committed step took, in `audit_folder`

  bool has_deadline() const { return deadline_after_ms != 0 || deadline_at_ms != 0; }
  /// Of a job with one that was submitted at that moment.
  std::int64_t deadline_ms(std::int64_t submitted_ms) const {
    return deadline_at_ms != 0 ? deadline_at_ms : submitted_ms + deadline_after_ms;
  }
  /// The fixed number of shares that the global batch is cut into, whoever computes them.
  std::uint32_t logical_ranks() const { return workers.max; }
  /// How many processes of a role the job wants; of workers, at most.
  std::uint32_t count_of(Role role) const;
  bool operator==(const JobSpec&) const = default;
};

/// What makes one checkpoint of a job better than another: the first metric of `validate`, or the one that
/// fits the loss.
Goal best_goal(const JobSpec& spec);

/// Where the workers of a job with `audit` write their records: beside its job file.
std::string audit_folder(const std::string& directory, const std::string& job);

}  // namespace ds::scheduler
