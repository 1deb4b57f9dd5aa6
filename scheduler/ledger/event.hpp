#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/ledger/job_state.hpp"
#include "scheduler/spec/role.hpp"

namespace ds::scheduler {

/// Each struct below is one kind of decision or observation that must survive the head.

/// A job was accepted. `key` is the client's idempotency key (may be empty), `text` the job file as sent.
struct JobSubmitted {
  std::string job, key, file, directory, text;
  bool operator==(const JobSubmitted&) const = default;
};

/// Slots of `node` (none, unless it is a worker) belong to the process `worker` from now on, until
/// `LeaseEnded`.
struct LeaseGranted {
  std::uint64_t worker = 0;
  std::string job, node;
  std::uint32_t slots = 1;
  std::uint64_t memory_bytes = 0;
  Role role = Role::worker;
  bool operator==(const LeaseGranted&) const = default;
};

/// The worker was told to stop; its slots stay taken until its process is gone.
struct LeaseReleasing {
  std::uint64_t worker = 0;
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
/// `retry_at_ms`.
struct WorkerCrashed {
  std::string job;
  std::uint64_t worker = 0;
  std::uint32_t in_a_row = 0;
  std::int64_t retry_at_ms = 0;
  bool operator==(const WorkerCrashed&) const = default;
};

/// A rank of a `command` job's gang ended with exit code 0 while others run on.
struct RankFinished {
  std::string job;
  std::uint64_t worker = 0;
  bool operator==(const RankFinished&) const = default;
};

/// One change of state, with who made it and why: the audit record and the journal's record are the same
/// thing.
struct Event {
  using Body = std::variant<JobSubmitted, LeaseGranted, LeaseReleasing, LeaseEnded, GenerationFormed,
                            JobStateChanged, CancelRequested, JobSized, EvaluationRecorded,
                            CheckpointCommitted, WorkerCrashed, RankFinished>;
  std::int64_t at_ms = 0;  ///< Unix time
  std::string by;          ///< `user`, `scheduler`, `worker 12`, `node node-1`, `head`
  std::string why;
  Body body;
  bool operator==(const Event&) const = default;
};

/// One JSON document; `event_from` takes back what `to_text` wrote and nothing else (nullopt).
std::string to_text(const Event& event);
std::optional<Event> event_from(std::string_view text);

}  // namespace ds::scheduler
