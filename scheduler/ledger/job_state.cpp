#include "scheduler/ledger/job_state.hpp"

#include <array>
#include <utility>

namespace ds::scheduler {
namespace {

constexpr std::array<std::pair<JobState, std::string_view>, 9> kNames{{
    {JobState::queued, "QUEUED"},
    {JobState::starting, "STARTING"},
    {JobState::running, "RUNNING"},
    {JobState::resizing, "RESIZING"},
    {JobState::preempted, "PREEMPTED"},
    {JobState::paused, "PAUSED"},
    {JobState::succeeded, "SUCCEEDED"},
    {JobState::failed, "FAILED"},
    {JobState::cancelled, "CANCELLED"},
}};

}  // namespace

std::string_view to_string(JobState state) {
  for (const auto& [value, name] : kNames) {
    if (value == state) return name;
  }
  return "UNKNOWN";
}

std::optional<JobState> job_state_from(std::string_view text) {
  for (const auto& [value, name] : kNames) {
    if (name == text) return value;
  }
  return std::nullopt;
}

bool is_end(JobState state) {
  return state == JobState::succeeded || state == JobState::failed || state == JobState::cancelled;
}

bool is_waiting(JobState state) {
  return state == JobState::queued || state == JobState::preempted;
}

bool has_no_gang(JobState state) {
  return is_waiting(state) || state == JobState::paused;
}

bool is_legal(JobState from, JobState to) {
  if (is_end(from) || from == to) return false;
  // A job without workers may have succeeded: its last one can die, or be told to leave, right after its last
  // checkpoint was made durable.
  if (is_end(to)) return true;
  switch (from) {
    case JobState::queued:
      return to == JobState::starting || to == JobState::paused;
    case JobState::starting:
    case JobState::running:
    case JobState::resizing:
      return true;
    case JobState::preempted:
      return to == JobState::queued || to == JobState::starting || to == JobState::paused;
    case JobState::paused:
      return to == JobState::queued;
    default:
      return false;
  }
}

}  // namespace ds::scheduler
