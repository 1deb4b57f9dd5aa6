#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/ledger/job_state.hpp"
#include "scheduler/ledger/served_line.hpp"
#include "scheduler/models/model_registry.hpp"
#include "scheduler/spec/role.hpp"
#include "scheduler/spec/slot_count.hpp"

namespace ds::scheduler {

/// Each struct below is one kind of decision or observation that must survive the head.

/// A job was accepted. `key` is the client's idempotency key (may be empty), `text` the job file as sent,
/// `depends_on` the ids of the jobs that its file named.
struct JobSubmitted {
  std::string job, key, file, directory, text;
  std::vector<std::string> depends_on = {};
  bool operator==(const JobSubmitted&) const = default;
};

/// The job, which goes on, was submitted once more, with another key: what comes with that key is this job,
/// too.
struct JobSubmittedAgain {
  std::string job, key;
  bool operator==(const JobSubmittedAgain&) const = default;
};

/// Slots of `node` (none, unless it is a worker) belong to the process `worker` from now on, until
/// `LeaseEnded`, and so do those of the node's GPUs that are named.
struct LeaseGranted {
  std::uint64_t worker = 0;
  std::string job, node;
  SlotCount slots = 1;
  std::uint64_t memory_bytes = 0;
  Role role = Role::worker;
  std::vector<std::uint32_t> devices = {};  ///< as many as its job's workers need, ascending
  std::uint64_t version = 0;                ///< of the model that this replica serves; 0: it has no versions
  bool operator==(const LeaseGranted&) const = default;
};

/// The worker was told to stop; its slots stay taken until its process is gone. `at_once`: it is killed,
/// whatever it holds; else it leaves by itself, and a later head gives it the time for that too.
struct LeaseReleasing {
  std::uint64_t worker = 0;
  bool at_once = false;
  bool operator==(const LeaseReleasing&) const = default;
};

/// The worker's process is known to be gone (or its node is).
struct LeaseEnded {
  std::uint64_t worker = 0;
  bool operator==(const LeaseEnded&) const = default;
};

/// Written before any worker hears of the generation, so that no later head can use its number again.
struct GenerationFormed {
  std::string job;
  std::uint64_t generation = 0;
  std::vector<std::uint64_t> members;       ///< workers, in rank order
  std::uint64_t step = 0;                   ///< committed steps it goes on from
  std::vector<std::uint64_t> servers = {};  ///< that hold its parameters
  bool operator==(const GenerationFormed&) const = default;
};

struct JobStateChanged {
  std::string job;
  JobState state = JobState::queued;
  std::string reason;
  bool operator==(const JobStateChanged&) const = default;
};

/// The job's owner wants it to end; after this nothing of it starts.
struct CancelRequested {
  std::string job;
  bool operator==(const CancelRequested&) const = default;
};

/// The job's owner wants it to stop for a while: it gives its slots back, and gets none before
/// `ResumeRequested`.
struct PauseRequested {
  std::string job;
  bool operator==(const PauseRequested&) const = default;
};

/// It may go on.
struct ResumeRequested {
  std::string job;
  bool operator==(const ResumeRequested&) const = default;
};

/// What the first worker found out from the data.
struct JobSized {
  std::string job;
  std::uint64_t total_steps = 0, steps_per_epoch = 0;
  bool operator==(const JobSized&) const = default;
};

struct EvaluationRecorded {
  std::string job;
  std::uint64_t step = 0;
  double loss = 0;
  std::map<std::string, double> metrics;  ///< `accuracy`, `f1`, …
  double majority_accuracy = 0;           ///< 0: the label is no class
  bool operator==(const EvaluationRecorded&) const = default;
};

struct CheckpointCommitted {
  std::string job;
  std::uint64_t step = 0;
  bool operator==(const CheckpointCommitted&) const = default;
};

/// A worker crashed; `in_a_row` counts those since the last committed step. The job waits until
/// `retry_at_ms`. `early_on`: the node, if it crashed there by itself soon after its start, users' programs
/// too; else empty.
struct WorkerCrashed {
  std::string job;
  std::uint64_t worker = 0;
  std::uint32_t in_a_row = 0;
  std::int64_t retry_at_ms = 0;
  std::string early_on = {};
  bool operator==(const WorkerCrashed&) const = default;
};

/// How long the job's steps take with so many workers on so many nodes has settled, or has become another.
/// `resize_s`: for so long it stood still when it came to that size; 0: not measured.
struct SpeedMeasured {
  std::string job;
  std::uint32_t workers = 1, nodes = 1;
  double step_s = 0, compute_s = 0, resize_s = 0;
  std::uint32_t batches = 1;  ///< of `batch.global`, that such a step takes
  bool operator==(const SpeedMeasured&) const = default;
};

/// The steps of a job whose batch may grow take so many samples from about `step` on.
struct BatchChanged {
  std::string job;
  std::uint64_t step = 0, batch = 0;
  bool operator==(const BatchChanged&) const = default;
};

/// A rank of a `command` job's gang ended with exit code 0 while others run on.
struct RankFinished {
  std::string job;
  std::uint64_t worker = 0;
  bool operator==(const RankFinished&) const = default;
};

/// The job has run for as long as its `time_limit` allows: nothing of it starts any more, and it has failed
/// when its last worker is gone.
struct TimeLimitReached {
  std::string job;
  bool operator==(const TimeLimitReached&) const = default;
};

/// The owner of a job that failed or was cancelled wants it to be tried again, from its newest checkpoint.
struct JobRetried {
  std::string job;
  bool operator==(const JobRetried&) const = default;
};

/// The job, which has ended, is not known any more, nor is anything of it.
struct JobForgotten {
  std::string job;
  bool operator==(const JobForgotten&) const = default;
};

struct PriorityChanged {
  std::string job;
  std::uint32_t priority = 0;
  bool operator==(const PriorityChanged&) const = default;
};

/// The job runs with `min` to `max` workers from now on; `max` is no more than its file's, which its shares
/// of the batch depend on.
struct WorkersScaled {
  std::string job;
  std::uint32_t min = 1, max = 1;
  bool operator==(const WorkersScaled&) const = default;
};

/// Which checkpoint a `serve` job serves: that of `step` of the job `source`. It is kept as long as it may be
/// needed.
struct CheckpointChosen {
  std::string job, source;
  std::uint64_t step = 0;
  bool operator==(const CheckpointChosen&) const = default;
};

/// The registry has another version of a model.
struct ModelVersionAdded {
  std::string model;
  ModelVersion version;  ///< `added_ms` is the event's time
  bool operator==(const ModelVersionAdded&) const = default;
};

/// The registry forgets a version, which no tag points at and no job serves, or a model with all of its.
struct ModelRemoved {
  std::string model;
  std::uint64_t version = 0;  ///< 0: the model
  bool operator==(const ModelRemoved&) const = default;
};

/// A tag points at this version from now on, and so do the jobs that serve what it points at. `back`: as
/// before its last move.
struct ModelTagged {
  std::string model, tag;
  std::uint64_t version = 0;
  bool back = false;
  bool operator==(const ModelTagged&) const = default;
};

/// Which versions of a model a `serve` job serves, until their tags move.
struct ModelServed {
  std::string job, model;
  std::vector<ServedLine> lines;  ///< those fields that its file and the registry give
  bool operator==(const ModelServed&) const = default;
};

/// The file that a `serve` job names has this content, as this version of the job's model. A number that is
/// new, or whose content is known to be this: its replicas are to be of it from now on. A number whose
/// content was not known: that it is this.
struct FileServed {
  std::string job;
  std::uint64_t version = 0;  ///< from 1
  std::string digest;         ///< SHA-256, hexadecimal; empty: not known yet
  bool operator==(const FileServed&) const = default;
};

/// Replicas have served the version for a while: what becomes of them is no longer held against it.
struct VersionProved {
  std::string job;
  std::uint64_t version = 0;
  bool operator==(const VersionProved&) const = default;
};

/// No replica can serve the version, or goes on serving it: the job goes back to the one before.
struct RolloutStopped {
  std::string job;
  std::uint64_t version = 0;
  std::string why;
  bool to_own = true;   ///< to the part's own, rather than another part's
  bool to_last = true;  ///< to the last that was ready, rather than the last that was proved
  bool operator==(const RolloutStopped&) const = default;
};

/// The job's deadline was accepted: it has its minimum by `starts_by_ms` and has ended by `deadline_ms`, as
/// long as nothing is lost that it rests on.
struct DeadlinePromised {
  std::string job;
  std::int64_t deadline_ms = 0, starts_by_ms = 0;
  bool operator==(const DeadlinePromised&) const = default;
};

/// The promise can't be kept any more: it is a job like others from now on, and the event's `why` is kept
/// with it. Once more when its deadline has passed without its end.
struct DeadlineMissed {
  std::string job;
  bool operator==(const DeadlineMissed&) const = default;
};

/// The node is there from now on, until `NodeLost`: it has said so to the head.
struct NodeJoined {
  std::string node;
  bool operator==(const NodeJoined&) const = default;
};

/// It is there no more, or nothing is heard of it. `is_stopped`: it had said that it ends.
struct NodeLost {
  std::string node;
  bool is_stopped = false;
  bool operator==(const NodeLost&) const = default;
};

/// Nothing new goes to the node, and what is there leaves, until `NodeUndrained`. `why`: the operator's
/// words.
struct NodeDrained {
  std::string node, why;
  bool operator==(const NodeDrained&) const = default;
};

/// Nothing new goes to the node until `NodeUndrained`; what runs there goes on.
struct NodeQuarantined {
  std::string node, why;
  bool operator==(const NodeQuarantined&) const = default;
};

/// Nothing new goes to the node until `NodeUndrained`, since an operator wants that; what runs there goes on
/// to its end.
struct NodeCordoned {
  std::string node;
  bool operator==(const NodeCordoned&) const = default;
};

/// What was against the node has turned out to be the jobs' fault.
struct QuarantineLifted {
  std::string node;
  bool operator==(const QuarantineLifted&) const = default;
};

/// Ends a drain, a cordon and a quarantine.
struct NodeUndrained {
  std::string node;
  bool operator==(const NodeUndrained&) const = default;
};

/// What tenants may use from now on: a file's text, which is right; empty: there are none. `at_start`: a head
/// was started with it, and the one before with another.
struct TenantsChanged {
  std::string text;
  bool at_start = false;
  bool operator==(const TenantsChanged&) const = default;
};

/// A head of this version has started with this journal.
struct HeadStarted {
  std::string version;
  bool operator==(const HeadStarted&) const = default;
};

/// One change of state, with who made it and why: the audit record and the journal's record are the same
/// thing.
struct Event {
  using Body =
      std::variant<JobSubmitted, LeaseGranted, LeaseReleasing, LeaseEnded, GenerationFormed, JobStateChanged,
                   CancelRequested, JobSized, EvaluationRecorded, CheckpointCommitted, WorkerCrashed,
                   PauseRequested, ResumeRequested, NodeDrained, NodeUndrained, TimeLimitReached, JobRetried,
                   PriorityChanged, WorkersScaled, NodeQuarantined, RankFinished, QuarantineLifted,
                   SpeedMeasured, CheckpointChosen, ModelVersionAdded, ModelTagged, ModelServed,
                   RolloutStopped, DeadlinePromised, DeadlineMissed, VersionProved, ModelRemoved,
                   BatchChanged, JobForgotten, FileServed, TenantsChanged, JobSubmittedAgain, NodeCordoned,
                   NodeJoined, NodeLost, HeadStarted>;
  std::int64_t at_ms = 0;  ///< Unix time
  std::string by;          ///< `user`, `operator`, `scheduler`, `worker 12`, `node node-1`, `head`
  std::string why;
  Body body;
  bool operator==(const Event&) const = default;
};

/// An event as the journal holds it. `is_exact`: `event_from` gives back this very event; else it may differ
/// (text that is not UTF-8, numbers that JSON has not).
struct EventText {
  std::string text;
  bool is_exact = false;
};
EventText write_event(const Event& event);

/// One JSON document; `event_from` takes back what `to_text` wrote and nothing else (nullopt).
std::string to_text(const Event& event);
std::optional<Event> event_from(std::string_view text);

}  // namespace ds::scheduler
