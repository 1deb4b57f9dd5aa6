#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "actors/job/gang.hpp"
#include "actors/messages/worker.hpp"

namespace ds::job {

// ---- what the head tells a job's master (local messages) ----------------------------------------

struct LeasesChanged {
  std::vector<GangLease> leases;
  std::uint32_t min_workers = 1;  ///< without which the gang does not train
  bool goes_on = false;           ///< who leaves is replaced: the job is neither preempted, paused nor ended
};
struct GenerationDurable {
  std::uint64_t generation = 0;
};
/// Versions after `step` are damaged; the job may only go back to this one.
struct CheckpointDamaged {
  std::uint64_t step = 0;
};
/// The job is over: workers are stopped and the master ends.
struct EndJob {};

// ---- what a job's master tells the head ---------------------------------------------------------

struct JobSizeKnown {
  std::uint64_t total_steps = 0, steps_per_epoch = 0;
};
struct JobImpossible {
  std::uint64_t worker = 0;
  std::string why;
};

using MasterNote = std::variant<RecordGeneration, ShowPhase, KillWorker, FinishJob, JobSizeKnown,
                                JobImpossible, messages::StepReport, messages::EvaluationReport>;

struct MasterOptions {
  std::string job, file, directory, text;
  Gang::Options gang;
  std::uint64_t max_state_bytes = 0;  ///< a job with a larger state is refused
  std::uint64_t checkpoint_step = 0;
  fabric::ActorAddress checkpoints;           ///< answers `FetchState`
  std::function<void(MasterNote)> tell_head;  ///< called on the master's thread
  /// Saves and calls back (any thread) with an empty text, or with why not.
  std::function<void(messages::SaveCheckpoint, std::function<void(std::string)>)> save;
};

/// One job's master: carries the gang's decisions to its workers and their answers back. It holds no state
/// that the ledger or the workers do not have, so a new head makes a new one.
caf::actor spawn_master(caf::actor_system& system, fabric::Fabric& fabric, MasterOptions options);

}  // namespace ds::job

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::job::LeasesChanged)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::job::GenerationDurable)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::job::CheckpointDamaged)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::job::EndJob)
