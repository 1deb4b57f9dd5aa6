// What of a ledger's events people read, and in which words.
#include <string>

#include "scheduler/ledger/ledger.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::scheduler {
namespace {

Happening of_workers(const char* what, const Lease& lease) {
  return {.what = what, .job = lease.job, .workers = 1, .nodes = {{lease.node, 1}}};
}

Happening of_node(const char* what, const std::string& node) {
  return {.what = what, .nodes = {{node, 0}}};
}

const Lease* find_worker(const std::map<std::uint64_t, Lease>& leases, std::uint64_t worker) {
  const auto found = leases.find(worker);
  return found == leases.end() || found->second.role != Role::worker ? nullptr : &found->second;
}

/// Of the kinds of events that nothing is said of there is none.
struct Describe {
  const Ledger& ledger;
  std::int64_t at_ms;
  const std::map<std::uint64_t, Lease>& leases;
  const NodeMoments& lost;
  using Found = std::optional<Happening>;

  Found operator()(const JobSubmitted& body) const { return Happening{.what = "submitted", .job = body.job}; }
  Found operator()(const JobSubmittedAgain&) const { return std::nullopt; }  // what it led to is said
  Found operator()(const LeaseGranted& body) const {
    if (body.role != Role::worker) return std::nullopt;
    return Happening{.what = "placed", .job = body.job, .workers = 1, .nodes = {{body.node, 1}}};
  }
  Found operator()(const LeaseReleasing& body) const {
    const Lease* lease = find_worker(leases, body.worker);
    if (lease == nullptr || lease->releasing) return std::nullopt;
    return of_workers("told_to_leave", *lease);
  }
  Found operator()(const LeaseEnded& body) const {
    const Lease* lease = find_worker(leases, body.worker);
    if (lease == nullptr || lease->releasing) return std::nullopt;  // it was told to
    return of_workers("left", *lease);
  }
  Found operator()(const WorkerCrashed& body) const {
    const Lease* lease = find_worker(leases, body.worker);
    return lease == nullptr ? Happening{.what = "crashed", .job = body.job} : of_workers("crashed", *lease);
  }
  Found operator()(const JobStateChanged& body) const {
    return Happening{
        .what = "state", .job = body.job, .why = body.reason, .value = std::string(to_string(body.state))};
  }
  Found operator()(const PriorityChanged& body) const {
    return Happening{.what = "priority", .job = body.job, .value = std::to_string(body.priority)};
  }
  Found operator()(const WorkersScaled& body) const {
    return Happening{
        .what = "scale", .job = body.job, .value = std::to_string(body.min) + ":" + std::to_string(body.max)};
  }
  Found operator()(const CancelRequested& body) const { return Happening{.what = "cancel", .job = body.job}; }
  Found operator()(const PauseRequested& body) const { return Happening{.what = "pause", .job = body.job}; }
  Found operator()(const ResumeRequested& body) const { return Happening{.what = "resume", .job = body.job}; }
  Found operator()(const JobRetried& body) const { return Happening{.what = "retry", .job = body.job}; }
  Found operator()(const TimeLimitReached& body) const {
    return Happening{.what = "time_limit", .job = body.job};
  }
  Found operator()(const DeadlinePromised& body) const {
    return Happening{.what = "deadline_promised", .job = body.job, .value = to_time_text(body.deadline_ms)};
  }
  Found operator()(const DeadlineMissed& body) const {
    const auto* job = ledger.find(body.job);
    const bool has_passed = job != nullptr && at_ms > job->deadline_ms;
    return Happening{.what = has_passed ? "deadline_missed" : "promise_broken", .job = body.job};
  }
  Found operator()(const NodeJoined& body) const {
    return of_node(lost.contains(body.node) ? "back" : "joined", body.node);
  }
  Found operator()(const NodeLost& body) const {
    return of_node(body.is_stopped ? "stopped" : "lost", body.node);
  }
  Found operator()(const NodeDrained& body) const { return of_node("drain", body.node); }
  Found operator()(const NodeUndrained& body) const { return of_node("undrain", body.node); }
  Found operator()(const NodeQuarantined& body) const { return of_node("quarantine", body.node); }
  Found operator()(const NodeCordoned& body) const { return of_node("cordon", body.node); }
  Found operator()(const QuarantineLifted& body) const { return of_node("quarantine_lifted", body.node); }
  Found operator()(const JobForgotten&) const { return std::nullopt; }
  Found operator()(const GenerationFormed&) const { return std::nullopt; }
  Found operator()(const JobSized&) const { return std::nullopt; }
  Found operator()(const EvaluationRecorded&) const { return std::nullopt; }
  Found operator()(const CheckpointCommitted&) const { return std::nullopt; }
  Found operator()(const RankFinished&) const { return std::nullopt; }
  Found operator()(const SpeedMeasured&) const { return std::nullopt; }
  Found operator()(const BatchChanged& body) const {
    return Happening{.what = "batch", .job = body.job, .value = std::to_string(body.batch)};
  }
  Found operator()(const CheckpointChosen&) const { return std::nullopt; }
  Found operator()(const ModelVersionAdded& body) const {
    return Happening{.what = "model_version",
                     .value = body.model + "@" + std::to_string(body.version.number)};
  }
  Found operator()(const ModelTagged& body) const {
    return Happening{.what = body.back ? "model_rollback" : "model_promote",
                     .value = body.model + "@" + body.tag + " " + std::to_string(body.version)};
  }
  Found operator()(const ModelRemoved& body) const {
    return Happening{
        .what = "model_removed",
        .value = body.version == 0 ? body.model : body.model + "@" + std::to_string(body.version)};
  }
  Found operator()(const TenantsChanged&) const { return Happening{.what = "tenants"}; }
  Found operator()(const HeadStarted& body) const {
    return Happening{.what = "head_started", .value = body.version};
  }
  Found operator()(const ModelServed&) const { return std::nullopt; }
  Found operator()(const FileServed& body) const {
    if (body.version == 1) return std::nullopt;  // it was submitted
    return Happening{.what = "file_served", .job = body.job, .value = std::to_string(body.version)};
  }
  Found operator()(const VersionProved&) const { return std::nullopt; }
  Found operator()(const RolloutStopped& body) const {
    return Happening{.what = "rollout_stopped", .job = body.job, .value = std::to_string(body.version)};
  }
};

}  // namespace

std::optional<Happening> Ledger::describe(const Event& event) const {
  auto found = std::visit(Describe{*this, event.at_ms, leases_, lost_}, event.body);
  if (!found) return found;
  found->at_ms = event.at_ms;
  found->by = event.by;
  if (found->why.empty()) found->why = event.why;
  return found;
}

History::Page Ledger::history_of(const JobRecord& job, std::optional<std::uint64_t> after) const {
  auto page = history_.of_job(job.id, after.value_or(0));
  // How it ended is known at least, unless that is forgotten as well.
  if (after.value_or(0) == 0 && is_end(job.state) && page.happenings.empty()) page.has_gap = true;
  if (after) return page;
  page.happenings.insert(page.happenings.begin(),
                         {.what = "submitted", .job = job.id, .by = "user", .at_ms = job.submitted_ms});
  return page;
}

}  // namespace ds::scheduler
