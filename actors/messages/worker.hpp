#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "actors/fabric/buffer_inspect.hpp"
#include "actors/fabric/fabric.hpp"
#include "actors/fabric/real.hpp"
#include "actors/parameters/requests.hpp"

namespace ds::messages {

/// What a worker says first to every head it meets. The head answers with `AssignJob`, `ExportOrder`,
/// `PauseGang` or `StopWorker`.
struct WorkerHello {
  std::uint64_t worker = 0;  ///< the number the node agent started it with
  std::string job;
  fabric::ActorAddress actor;
  std::uint8_t phase = 0;         ///< `job::WorkerPhase`
  std::uint64_t generation = 0;   ///< newest obeyed
  std::uint64_t step = 0;         ///< committed
  std::uint64_t total_steps = 0;  ///< 0 while fresh
  std::uint64_t steps_per_epoch = 0;
  std::string fingerprint;       ///< of data and model; the same for all workers of a job, empty while fresh
  std::uint64_t parameters = 0;  ///< that the model has; 0 while fresh
  std::vector<parameters::RowTable> row_tables;  ///< of them; see `RowTable`
  bool operator==(const WorkerHello&) const = default;
};

/// The head that is to be talked to has the worker on its list; its sender is the job's master from now on.
struct HelloTaken {
  std::uint64_t worker = 0;
  bool operator==(const HelloTaken&) const = default;
};

/// Gives a fresh worker its job; it says hello again once it has read the data and built the model.
struct AssignJob {
  std::string job, file, directory, text;
  std::uint64_t max_state_bytes = 0;  ///< that the head takes as a checkpoint
  bool operator==(const AssignJob&) const = default;
};

/// From a worker or data shard that reads its data, once a second while `amount` grows: bytes mostly.
struct DataRead {
  std::uint64_t worker = 0;
  std::uint64_t amount = 0;  ///< see `storage::ReadMeter`
  bool operator==(const DataRead&) const = default;
};

/// Stop at a step boundary and answer `GangPaused`. Older generations than the newest obeyed are ignored.
struct PauseGang {
  std::uint64_t generation = 0;
  bool operator==(const PauseGang&) const = default;
};

struct GangPaused {
  std::uint64_t worker = 0, generation = 0, step = 0;
  bool operator==(const GangPaused&) const = default;
};

/// What a worker says at once to `PauseGang` when it computes a micro-batch, or a batch of an evaluation: it
/// can only stop at the end of that.
struct GangPausing {
  std::uint64_t worker = 0, generation = 0;
  std::uint64_t longest_ms = 0;  ///< that its like took until now at most; 0: it is the first
  bool operator==(const GangPausing&) const = default;
};

struct GangMember {
  std::uint64_t worker = 0;
  fabric::ActorAddress actor;
  std::uint32_t first = 0, last = 0;  ///< logical ranks [first, last)
  bool operator==(const GangMember&) const = default;
};

/// Gives a worker its place in a generation. Sent to all workers of the gang or to none.
///
/// A worker ignores an order whose `generation` is older than the newest it has obeyed; that is what makes a
/// late or repeated message harmless. It answers `GangJoined` once its state is that of `step`, fetched from
/// `source` when it is not there yet.
struct JoinGang {
  std::string job;
  std::uint64_t generation = 0;
  std::uint32_t rank = 0;           ///< this worker's place in `members`
  std::vector<GangMember> members;  ///< in rank order; their ranges cover all logical ranks once
  std::uint64_t step = 0;
  fabric::ActorAddress source;
  // With parameter servers the state comes from these instead, but for the one who sets them from `source`.
  std::vector<fabric::ActorAddress> primaries;  ///< by range; empty: no servers
  bool seed = false;
  bool operator==(const JoinGang&) const = default;
};

struct GangJoined {
  std::uint64_t worker = 0, generation = 0;
  bool operator==(const GangJoined&) const = default;
};

/// All members have joined: run steps.
struct StartSteps {
  std::uint64_t generation = 0;
  bool operator==(const StartSteps&) const = default;
};

/// The data shards that are ready, whenever that changes; a worker may ask any of them for any batch.
struct UseShards {
  std::vector<fabric::ActorAddress> shards;
  bool operator==(const UseShards&) const = default;
};

/// The worker cannot go on in this generation; its state is whole at `step`.
struct GangStuck {
  std::uint64_t worker = 0, generation = 0, step = 0;
  std::string why;
  bool operator==(const GangStuck&) const = default;
};

/// Asks a paused worker, or the head's checkpoint store, for the state of `step`. Answered with `StateReply`
/// or an error.
struct FetchState {
  std::string job;
  std::uint64_t step = 0;
  bool operator==(const FetchState&) const = default;
};

struct StateReply {
  std::uint64_t step = 0;
  std::string description;
  std::vector<std::string> names;  ///< of `tensors`, in order
  std::vector<Buffer> tensors;
  std::string error;  ///< not empty: there is no state, and why
  bool operator==(const StateReply&) const = default;
};

/// From rank 0, at most ten a second and for the last step of each epoch.
struct StepReport {
  std::uint64_t worker = 0, generation = 0, step = 0, epoch = 0;
  Real loss, samples_per_second;
  std::map<std::string, Real> phase_seconds;  ///< mean of an optimizer step since the last report: data,
                                              ///< forward, backward, reduce, optimizer
  std::uint64_t skipped_steps = 0, bad_records = 0;  ///< since the job began; see `on_nan`, `on_bad_record`
  Real noise_scale;                                  ///< of the gradient, in samples; 0: not known
  std::uint64_t batch = 0;  ///< samples that a step of the optimizer takes now; see `batch.max_global`
  Real step_batches = 1;    ///< of `batch.global`, that one took on average since the last report
  bool operator==(const StepReport&) const = default;
};

struct EvaluationReport {
  std::uint64_t worker = 0, generation = 0, step = 0;
  Real loss;
  std::map<std::string, Real> metrics;
  Real majority_accuracy;  ///< 0: the label is no class
  bool operator==(const EvaluationReport&) const = default;
};

/// A request to the head; answered with `CheckpointSaved` once it is durable.
struct SaveCheckpoint {
  std::string job;
  std::uint64_t worker = 0, generation = 0;
  std::map<std::string, Real> metrics;
  StateReply state;
  bool operator==(const SaveCheckpoint&) const = default;
};

struct CheckpointSaved {
  std::string job;
  std::uint64_t step = 0;
  std::string error;  ///< not empty: it was not saved, and why
  bool operator==(const CheckpointSaved&) const = default;
};

/// All steps are done and the last checkpoint is durable. Repeated to every new head until `StopWorker`
/// comes.
struct TrainingFinished {
  std::uint64_t worker = 0, generation = 0, step = 0;
  bool operator==(const TrainingFinished&) const = default;
};

/// This worker cannot do its part, but another try, or another worker, may; it waits for its end.
struct WorkerFailed {
  std::uint64_t worker = 0;
  std::string why;
  bool operator==(const WorkerFailed&) const = default;
};

/// The job cannot be run, now or later: its data, file or model is wrong.
struct JobImpossible {
  std::uint64_t worker = 0;
  std::string why;
  bool operator==(const JobImpossible&) const = default;
};

/// Exit now; nothing more is wanted.
struct StopWorker {
  std::uint64_t worker = 0;
  bool operator==(const StopWorker&) const = default;
};

/// Turns a state into a file's bytes; for a worker process that was started for this alone.
struct ExportOrder {
  std::string format;
  StateReply state;
  bool operator==(const ExportOrder&) const = default;
};

struct ExportDone {
  std::uint64_t worker = 0;
  Buffer file;
  std::string error;
  bool operator==(const ExportDone&) const = default;
};

template <class I>
auto inspect(I& f, WorkerHello& x) {
  return f(x.worker, x.job, x.actor, x.phase, x.generation, x.step, x.total_steps, x.steps_per_epoch,
           x.fingerprint, x.parameters, x.row_tables);
}
template <class I>
auto inspect(I& f, HelloTaken& x) {
  return f(x.worker);
}
template <class I>
auto inspect(I& f, AssignJob& x) {
  return f(x.job, x.file, x.directory, x.text, x.max_state_bytes);
}
template <class I>
auto inspect(I& f, DataRead& x) {
  return f(x.worker, x.amount);
}
template <class I>
auto inspect(I& f, PauseGang& x) {
  return f(x.generation);
}
template <class I>
auto inspect(I& f, GangPaused& x) {
  return f(x.worker, x.generation, x.step);
}
template <class I>
auto inspect(I& f, GangPausing& x) {
  return f(x.worker, x.generation, x.longest_ms);
}
template <class I>
auto inspect(I& f, GangMember& x) {
  return f(x.worker, x.actor, x.first, x.last);
}
template <class I>
auto inspect(I& f, JoinGang& x) {
  return f(x.job, x.generation, x.rank, x.members, x.step, x.source, x.primaries, x.seed);
}
template <class I>
auto inspect(I& f, GangJoined& x) {
  return f(x.worker, x.generation);
}
template <class I>
auto inspect(I& f, StartSteps& x) {
  return f(x.generation);
}
template <class I>
auto inspect(I& f, UseShards& x) {
  return f(x.shards);
}
template <class I>
auto inspect(I& f, GangStuck& x) {
  return f(x.worker, x.generation, x.step, x.why);
}
template <class I>
auto inspect(I& f, FetchState& x) {
  return f(x.job, x.step);
}
template <class I>
auto inspect(I& f, StateReply& x) {
  return f(x.step, x.description, x.names, x.tensors, x.error);
}
template <class I>
auto inspect(I& f, StepReport& x) {
  return f(x.worker, x.generation, x.step, x.epoch, x.loss, x.samples_per_second, x.phase_seconds,
           x.skipped_steps, x.bad_records, x.noise_scale, x.batch, x.step_batches);
}
template <class I>
auto inspect(I& f, EvaluationReport& x) {
  return f(x.worker, x.generation, x.step, x.loss, x.metrics, x.majority_accuracy);
}
template <class I>
auto inspect(I& f, SaveCheckpoint& x) {
  return f(x.job, x.worker, x.generation, x.metrics, x.state);
}
template <class I>
auto inspect(I& f, CheckpointSaved& x) {
  return f(x.job, x.step, x.error);
}
template <class I>
auto inspect(I& f, TrainingFinished& x) {
  return f(x.worker, x.generation, x.step);
}
template <class I>
auto inspect(I& f, WorkerFailed& x) {
  return f(x.worker, x.why);
}
template <class I>
auto inspect(I& f, JobImpossible& x) {
  return f(x.worker, x.why);
}
template <class I>
auto inspect(I& f, StopWorker& x) {
  return f(x.worker);
}
template <class I>
auto inspect(I& f, ExportOrder& x) {
  return f(x.format, x.state);
}
template <class I>
auto inspect(I& f, ExportDone& x) {
  return f(x.worker, x.file, x.error);
}

}  // namespace ds::messages
