#pragma once

#include <optional>
#include <string_view>

namespace ds::scheduler {

/// Where a job stands. The diagram is in `scheduler/STATES.md`.
enum class JobState {
  queued,     ///< waits for its gang's slots
  starting,   ///< slots are leased, workers start and form the first generation
  running,    ///< a generation trains
  resizing,   ///< the gang changes: between two generations
  preempted,  ///< lost its slots to a more urgent job
  paused,     ///< stopped by its owner
  succeeded,
  failed,
  cancelled,
};

/// `QUEUED`, `STARTING`, …: as the interface spells them.
std::string_view to_string(JobState state);
std::optional<JobState> job_state_from(std::string_view text);

/// True for `succeeded`, `failed` and `cancelled`, which never change again.
bool is_end(JobState state);

/// True for `queued` and `preempted`: it has no slots and gets some in its turn.
bool is_waiting(JobState state);

/// True for these and `paused`: it has no slots, or gives those back that it has.
bool has_no_gang(JobState state);

/// The transitions a job may make; anything else is a fault of ours.
bool is_legal(JobState from, JobState to);

}  // namespace ds::scheduler
