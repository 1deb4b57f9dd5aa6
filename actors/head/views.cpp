#include "actors/head/views.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "actors/gateway/error_response.hpp"
#include "actors/head/deadline_offer.hpp"
#include "scheduler/ledger/slot_count_json.hpp"
#include "scheduler/policy/gpu_kind.hpp"

namespace ds::head {
namespace {

using nlohmann::json;

json pid_of(const std::map<std::uint64_t, std::int32_t>& pids, std::uint64_t worker) {
  const auto pid = pids.find(worker);
  return pid == pids.end() ? json(nullptr) : json(pid->second);
}

const char* working_state(scheduler::JobKind kind) {
  switch (kind) {
    case scheduler::JobKind::command:
      return "RUNNING";
    case scheduler::JobKind::serve:
      return "SERVING";
    case scheduler::JobKind::train:
      break;
  }
  return "TRAINING";
}

json workers_view(const scheduler::JobRecord& job, const scheduler::Ledger& ledger,
                  const std::map<std::uint64_t, std::int32_t>& pids) {
  json workers = json::array();
  for (const auto& lease : ledger.leases_of(job.id)) {
    if (lease.role != scheduler::Role::worker) continue;
    const auto member = std::find(job.members.begin(), job.members.end(), lease.worker);
    json worker{{"worker", lease.worker},   {"node", lease.node},
                {"rank", nullptr},          {"pid", pid_of(pids, lease.worker)},
                {"devices", lease.devices}, {"state", "STARTING"}};
    if (member != job.members.end()) {
      worker["rank"] = member - job.members.begin();
      worker["state"] = working_state(job.spec->kind);
    }
    if (lease.releasing) worker["state"] = "LEAVING";
    if (lease.version != 0) worker["version"] = lease.version;
    workers.push_back(std::move(worker));
  }
  return workers;
}

/// Of each worker.
json resources_view(const scheduler::Resources& resources) {
  return {{"cpus", resources.cpus},
          {"memory_bytes", resources.memory_bytes},
          {"gpus", resources.gpus},
          {"gpu_kind", resources.gpu_kind}};
}

/// Processes besides the workers.
json roles_view(const scheduler::JobRecord& job, const scheduler::Ledger& ledger,
                const std::map<std::uint64_t, std::int32_t>& pids) {
  json roles = json::array();
  if (is_end(job.state)) return roles;
  roles.push_back({{"role", "job-master"}, {"node", "head"}, {"pid", getpid()}});
  for (const auto& lease : ledger.leases_of(job.id)) {
    if (lease.role == scheduler::Role::worker) continue;
    roles.push_back({{"role", to_string(lease.role)},
                     {"worker", lease.worker},
                     {"node", lease.node},
                     {"pid", pid_of(pids, lease.worker)}});
  }
  return roles;
}

/// Whether its batch may.
bool grows(const scheduler::JobRecord& job) {
  return job.spec->kind == scheduler::JobKind::train && job.spec->batch.most_batches() > 1;
}

std::uint64_t batch_of(const scheduler::JobRecord& job) {
  return job.batch == 0 ? job.spec->batch.global : job.batch;
}

json metrics_view(const scheduler::JobRecord& job, const LiveJob* live) {
  json metrics = json::object();
  if (grows(job)) metrics["batch"] = batch_of(job);
  const bool is_live = live != nullptr && live->has_loss;
  if (is_live) {
    metrics["loss"] = live->loss;
    metrics["samples_per_s"] = live->samples_per_second;
    if (live->skipped_steps > 0) metrics["skipped_steps"] = live->skipped_steps;
    if (live->bad_records > 0) metrics["bad_records"] = live->bad_records;
    if (live->noise_scale > 0) metrics["gradient_noise_scale"] = live->noise_scale;
    if (!live->phase_seconds.empty()) metrics["phase_seconds"] = live->phase_seconds;
  }
  if (!job.evaluations.empty()) {
    const auto& newest = job.evaluations.back();
    for (const auto& [name, value] : newest.metrics) {
      if (is_live && name == "gradient_noise_scale") continue;  // what is live is newer, unknown or not
      metrics[name] = value;
    }
    if (newest.majority_accuracy > 0) metrics["majority_accuracy"] = newest.majority_accuracy;
    metrics["validation_loss"] = newest.loss;
    if (!metrics.contains("loss")) metrics["loss"] = newest.loss;
  }
  return metrics;
}

std::string iso_time(std::int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(seconds));
}

json or_null(std::int64_t time_ms) {
  return time_ms == 0 ? json(nullptr) : json(time_ms);
}

}  // namespace

json job_view(const scheduler::JobRecord& job, const LiveJob* live, const std::string& wait_reason,
              const scheduler::Ledger& ledger, const std::map<std::uint64_t, std::int32_t>& pids,
              bool whole) {
  const auto step = std::max(job.step, live != nullptr ? live->step : 0);
  json view{{"id", job.id},
            {"name", job.spec->name},
            {"kind", to_string(job.spec->kind)},
            {"tenant", job.spec->tenant},
            {"queue", job.spec->queue},
            {"labels", job.spec->labels},
            {"priority", job.priority},
            {"preemptible", job.spec->preemptible},
            {"state", to_string(job.state)},
            {"reason", wait_reason.empty() ? job.reason : wait_reason},
            {"step", step},
            {"total_steps", job.total_steps},
            {"steps_per_epoch", job.steps_per_epoch},
            {"epoch", job.steps_per_epoch == 0 ? 0 : step / job.steps_per_epoch},
            {"generation", job.generation},
            {"metrics", metrics_view(job, live)},
            {"restarts", job.restarts},
            {"checkpoint", job.checkpoint_step == 0 ? json(nullptr) : json{{"step", job.checkpoint_step}}},
            {"workers_min", job.wanted().min},
            {"workers_max", job.wanted().max},
            {"resources", resources_view(job.spec->resources)},
            {"submitted_ms", job.submitted_ms},
            {"started_ms", or_null(job.started_ms)},
            {"ended_ms", or_null(job.ended_ms)}};
  view["roles"] = roles_view(job, ledger, pids);
  if (!whole) return view;
  view["description"] = job.spec->description;
  if (job.spec->audit) view["audit"] = scheduler::audit_folder(job.directory, job.id);
  view["depends_on"] = job.depends_on;
  view["time_limit_ms"] = or_null(job.spec->time_limit_ms);
  view["begins_ms"] = or_null(job.begins_ms());
  view["deadline_ms"] = or_null(job.deadline_ms);
  view["starts_by_ms"] = or_null(job.starts_by_ms);
  view["deadline_promised"] = job.has_promise;
  view["promised_again"] = job.has_promise && job.has_to_start_again;
  view["latest_start_ms"] = job.awaits_promised_start() ? json(job.latest_start_ms()) : json(nullptr);
  view["deadline_missed"] = job.is_deadline_missed;
  view["promise_broken"] = job.broken_promise.empty() ? json(nullptr) : json(job.broken_promise);
  view["promise_given_up"] = job.has_given_promise_up() ? json(given_up_text(job)) : json(nullptr);
  if (grows(job)) {
    const auto& batch = job.spec->batch;
    view["batch"] = {{"now", batch_of(job)}, {"min", batch.global}, {"max", batch.max_global}};
  }
  view["workers"] = workers_view(job, ledger, pids);
  view["speeds"] = json::array();
  for (const auto& size : job.sizes) {
    view["speeds"].push_back(
        {{"workers", size.workers}, {"nodes", size.nodes}, {"step_seconds", size.step_s}});
    if (grows(job)) view["speeds"].back()["batch"] = size.batches * job.spec->batch.global;
  }
  const double resize_s = scheduler::median_of(job.resizes_s);
  view["resize_seconds"] = resize_s > 0 ? json(resize_s) : json(nullptr);
  view["evaluations"] = json::array();
  for (const auto& e : job.evaluations) {
    json one{{"epoch", job.steps_per_epoch == 0 ? 0 : e.step / job.steps_per_epoch},
             {"step", e.step},
             {"loss", e.loss}};
    for (const auto& [name, value] : e.metrics) one[name] = value;
    if (e.majority_accuracy > 0) one["majority_accuracy"] = e.majority_accuracy;
    view["evaluations"].push_back(std::move(one));
  }
  return view;
}

bool has_wanted_labels(const std::map<std::string, std::string>& labels,
                       const std::map<std::string, std::string>& query) {
  constexpr std::string_view kPrefix = "label.";
  return std::ranges::all_of(query, [&](const auto& wanted) {
    if (!wanted.first.starts_with(kPrefix)) return true;
    const auto found = labels.find(wanted.first.substr(kPrefix.size()));
    return found != labels.end() && found->second == wanted.second;
  });
}

Result<JobFilter> read_job_filter(const std::map<std::string, std::string>& query) {
  JobFilter filter;
  if (const auto tenant = query.find("tenant"); tenant != query.end()) filter.tenant = tenant->second;
  if (const auto active = query.find("active"); active != query.end()) {
    if (active->second != "true" && active->second != "false")
      return fail(ErrorCode::invalid_argument, "active is true or false");
    filter.active = active->second == "true";
  }
  const auto states = query.find("state");
  if (states == query.end()) return filter;
  std::string_view rest = states->second;
  while (true) {
    const auto comma = rest.find(',');
    const auto word = rest.substr(0, comma);
    const auto state = scheduler::job_state_from(word);
    if (!state)
      return fail(
          ErrorCode::invalid_argument, fmt::format("there is no state \"{}\"", word),
          "states are QUEUED, STARTING, RUNNING, RESIZING, PREEMPTED, PAUSED, SUCCEEDED, FAILED, CANCELLED; "
          "several with commas between them");
    filter.states.insert(*state);
    if (comma == std::string_view::npos) return filter;
    rest.remove_prefix(comma + 1);
  }
}

bool is_wanted(const scheduler::JobRecord& job, const JobFilter& filter) {
  return (filter.states.empty() || filter.states.contains(job.state)) &&
         (filter.tenant.empty() || filter.tenant == job.spec->tenant) &&
         !(filter.active && is_end(job.state));
}

std::uint32_t NodeEntry::usable_gpus() const {
  const auto other =
      std::ranges::find_if(gpus, [this](const std::string& gpu) { return gpu != gpus.front(); });
  return static_cast<std::uint32_t>(other - gpus.begin());
}

bool NodeEntry::has_devices(std::span<const std::uint32_t> devices, std::string_view kind) const {
  if (devices.empty()) return true;
  const auto usable = usable_gpus();
  return scheduler::is_gpu_kind(kind, gpu_kind()) &&
         std::ranges::all_of(devices, [usable](std::uint32_t device) { return device < usable; });
}

json node_view(const NodeEntry& node, scheduler::SlotCount slots_used, std::size_t gpus_used) {
  return {{"id", node.name},
          {"address", node.address},
          {"state", node.state},
          {"slots", node.slots},
          {"slots_used", slots_used},
          {"cores", node.cores},
          {"gpus", node.gpus},
          {"gpus_total", node.usable_gpus()},
          {"gpus_used", gpus_used},
          {"gpu_kind", node.gpu_kind()},
          {"memory_bytes", node.memory_bytes},
          {"pid", node.pid},
          {"pretends", node.pretends},
          {"reason", node.reason}};
}

namespace {}  // namespace

json checkpoints_view(std::span<const storage::CheckpointEntry> entries, const scheduler::Goal& goal) {
  const storage::CheckpointEntry* best = nullptr;
  for (const auto& entry : entries) {
    const auto metric = entry.metrics.find(goal.metric);
    if (metric == entry.metrics.end()) continue;
    const double most = best == nullptr ? metric->second : best->metrics.at(goal.metric);
    if (goal.larger ? metric->second >= most : metric->second <= most) best = &entry;
  }
  json view = json::array();
  for (const auto& entry : entries) {
    view.push_back({{"step", entry.step},
                    {"bytes", entry.bytes},
                    {"time", iso_time(entry.time_ms)},
                    {"metrics", entry.metrics},
                    {"best", &entry == best}});
  }
  return view;
}

json reasons_view(std::span<const scheduler::Reason> reasons) {
  json list = json::array();
  for (const auto& reason : reasons) {
    list.push_back({{"code", reason.code},
                    {"text", reason.text},
                    {"blocking", reason.blocking},
                    {"blocking_count", reason.blocking.size() + reason.unnamed}});
    if (reason.enough > 0) list.back()["enough"] = reason.enough;
    if (reason.nodes.empty()) continue;
    list.back()["nodes"] = reason.nodes;
    list.back()["nodes_count"] = reason.nodes.size() + reason.unnamed_nodes;
  }
  return list;
}

json why_view(const scheduler::JobRecord& job, std::span<const scheduler::Reason> reasons) {
  json view{{"job", job.id},
            {"state", to_string(job.state)},
            {"reasons", reasons_view(reasons)},
            {"expected_start", nullptr}};
  if (is_end(job.state)) view["ended_because"] = job.reason;
  return view;
}

json events_view(const scheduler::History::Page& page) {
  json events = json::array();
  for (const auto& one : page.happenings) {
    json event{
        {"number", one.number}, {"at_ms", one.at_ms}, {"what", one.what}, {"by", one.by}, {"why", one.why}};
    if (!one.job.empty()) event["job"] = one.job;
    if (!one.value.empty()) event["value"] = one.value;
    if (one.workers > 0) event["workers"] = one.workers;
    for (const auto& [node, workers] : one.nodes)
      event["nodes"].push_back({{"node", node}, {"workers", workers}});
    if (one.nodes_count > 0) event["nodes_count"] = one.nodes_count;
    events.push_back(std::move(event));
  }
  return {{"events", std::move(events)}, {"missed", page.has_gap}, {"last", page.last}};
}

gateway::HttpResponse wrong_method(const char* allowed) {
  auto response = gateway::error_response(405, "bad_request", fmt::format("this route takes {}", allowed));
  response.headers.emplace_back("Allow", allowed);
  return response;
}

gateway::HttpResponse json_response(const json& document, int status) {
  return {
      status, document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n", "application/json", {}};
}

gateway::HttpResponse error_response(const Error& error) {
  struct Row {
    ErrorCode code;
    int status;
    const char* name;
  };
  static constexpr Row kRows[] = {
      {ErrorCode::invalid_argument, 400, "bad_request"},
      {ErrorCode::not_found, 404, "not_found"},
      {ErrorCode::already_exists, 409, "ambiguous"},
      {ErrorCode::permission_denied, 403, "not_allowed"},
      {ErrorCode::conflict, 409, "conflict"},
      {ErrorCode::resource_exhausted, 507, "resource_exhausted"},
      {ErrorCode::unavailable, 503, "unavailable"},
      {ErrorCode::deadline_exceeded, 504, "deadline_exceeded"},
      {ErrorCode::cancelled, 503, "unavailable"},
      {ErrorCode::unsupported, 501, "unsupported"},
  };
  int status = 500;
  const char* name = "internal";
  for (const auto& row : kRows) {
    if (row.code == error.code) std::tie(status, name) = std::pair(row.status, row.name);
  }
  return gateway::error_response(status, name, error.message, error.hint);
}

namespace {

gateway::HttpResponse invalid_file_response(std::span<const scheduler::SpecError> errors,
                                            const std::string& file, const char* code, const char* what) {
  json details = json::array();
  for (const auto& error : errors) {
    details.push_back({{"field", error.field},
                       {"line", error.mark.line},
                       {"column", error.mark.column},
                       {"message", error.message},
                       {"hint", error.hint}});
    if (error.mark.set != 0) details.back()["set"] = error.mark.set;
  }
  const auto message = errors.size() == 1
                           ? fmt::format("{} is not a valid {}", file, what)
                           : fmt::format("{} is not a valid {}: {} errors", file, what, errors.size());
  return json_response(
      {{"error", {{"code", code}, {"message", message}, {"hint", ""}, {"details", details}}}}, 422);
}

}  // namespace

gateway::HttpResponse invalid_job_response(std::span<const scheduler::SpecError> errors,
                                           const std::string& file) {
  return invalid_file_response(errors, file, "invalid_job", "job");
}

gateway::HttpResponse invalid_tenants_response(std::span<const scheduler::SpecError> errors,
                                               const std::string& file) {
  return invalid_file_response(errors, file, "invalid_tenants", "file of tenants");
}

}  // namespace ds::head
