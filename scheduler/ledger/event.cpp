#include "scheduler/ledger/event.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "scheduler/ledger/slot_count_json.hpp"

namespace ds::scheduler {

static void to_json(nlohmann::json& json, JobState state) {
  json = to_string(state);
}
static void from_json(const nlohmann::json& json, JobState& state) {
  state = job_state_from(json.get_ref<const std::string&>()).value();
}

static void to_json(nlohmann::json& json, Role role) {
  json = to_string(role);
}
static void from_json(const nlohmann::json& json, Role& role) {
  role = role_from(json.get_ref<const std::string&>()).value();
}

static void to_json(nlohmann::json& json, const JobSubmitted& x) {
  json = {{"job", x.job},   {"key", x.key},
          {"file", x.file}, {"directory", x.directory},
          {"text", x.text}, {"depends_on", x.depends_on}};
}
static void from_json(const nlohmann::json& json, JobSubmitted& x) {
  json.at("job").get_to(x.job);
  json.at("key").get_to(x.key);
  json.at("file").get_to(x.file);
  json.at("directory").get_to(x.directory);
  json.at("text").get_to(x.text);
  x.depends_on.clear();  // no job could before
  if (json.contains("depends_on")) json.at("depends_on").get_to(x.depends_on);
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobSubmittedAgain, job, key)
static void to_json(nlohmann::json& json, const LeaseGranted& x) {
  json = {{"worker", x.worker},
          {"job", x.job},
          {"node", x.node},
          {"slots", x.slots},
          {"memory_bytes", x.memory_bytes},
          {"role", x.role}};
  if (!x.devices.empty()) json["devices"] = x.devices;
  if (x.version != 0) json["version"] = x.version;
}
static void from_json(const nlohmann::json& json, LeaseGranted& x) {
  json.at("worker").get_to(x.worker);
  json.at("job").get_to(x.job);
  json.at("node").get_to(x.node);
  json.at("slots").get_to(x.slots);
  json.at("memory_bytes").get_to(x.memory_bytes);
  x.role = Role::worker;  // what journals from before there were roles mean
  if (json.contains("role")) json.at("role").get_to(x.role);
  x.devices.clear();  // no job could ask for GPUs before
  if (json.contains("devices")) json.at("devices").get_to(x.devices);
  x.version = json.value("version", std::uint64_t{0});  // there were no others before
}
static void to_json(nlohmann::json& json, const LeaseReleasing& x) {
  json = {{"worker", x.worker}, {"at_once", x.at_once}};
}
static void from_json(const nlohmann::json& json, LeaseReleasing& x) {
  json.at("worker").get_to(x.worker);
  x.at_once = json.value("at_once", true);  // what a later head did before it was recorded
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LeaseEnded, worker)
static void to_json(nlohmann::json& json, const GenerationFormed& x) {
  json = {{"job", x.job},
          {"generation", x.generation},
          {"members", x.members},
          {"step", x.step},
          {"servers", x.servers}};
}
static void from_json(const nlohmann::json& json, GenerationFormed& x) {
  json.at("job").get_to(x.job);
  json.at("generation").get_to(x.generation);
  json.at("members").get_to(x.members);
  json.at("step").get_to(x.step);
  x.servers.clear();  // there were none before
  if (json.contains("servers")) json.at("servers").get_to(x.servers);
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobStateChanged, job, state, reason)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CancelRequested, job)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PauseRequested, job)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ResumeRequested, job)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NodeDrained, node, why)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NodeQuarantined, node, why)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NodeCordoned, node)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NodeJoined, node)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NodeLost, node, is_stopped)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(QuarantineLifted, node)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NodeUndrained, node)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TimeLimitReached, job)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobRetried, job)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobForgotten, job)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PriorityChanged, job, priority)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkersScaled, job, min, max)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobSized, job, total_steps, steps_per_epoch)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EvaluationRecorded, job, step, loss, metrics, majority_accuracy)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CheckpointCommitted, job, step)
static void to_json(nlohmann::json& json, const WorkerCrashed& x) {
  json = {{"job", x.job},
          {"worker", x.worker},
          {"in_a_row", x.in_a_row},
          {"retry_at_ms", x.retry_at_ms},
          {"early_on", x.early_on}};
}
static void from_json(const nlohmann::json& json, WorkerCrashed& x) {
  json.at("job").get_to(x.job);
  json.at("worker").get_to(x.worker);
  json.at("in_a_row").get_to(x.in_a_row);
  json.at("retry_at_ms").get_to(x.retry_at_ms);
  x.early_on = json.value("early_on", std::string());  // nobody looked at that before
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RankFinished, job, worker)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CheckpointChosen, job, source, step)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ModelVersion, number, source, step, from, digest, metrics, added_ms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ModelVersionAdded, model, version)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ModelTagged, model, tag, version, back)
static void to_json(nlohmann::json& json, const ServedLine& x) {
  json = {{"tag", x.tag}, {"share", x.share}, {"version", x.version}};
}
static void from_json(const nlohmann::json& json, ServedLine& x) {
  json.at("tag").get_to(x.tag);
  json.at("share").get_to(x.share);
  json.at("version").get_to(x.version);
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ModelServed, job, model, lines)
static void to_json(nlohmann::json& json, const RolloutStopped& x) {
  json = {
      {"job", x.job}, {"version", x.version}, {"why", x.why}, {"to_own", x.to_own}, {"to_last", x.to_last}};
}
static void from_json(const nlohmann::json& json, RolloutStopped& x) {
  json.at("job").get_to(x.job);
  json.at("version").get_to(x.version);
  json.at("why").get_to(x.why);
  x.to_own = json.value("to_own", false);  // heads before looked at others' parts
  x.to_last = json.value("to_last", false);
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VersionProved, job, version)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FileServed, job, version, digest)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ModelRemoved, model, version)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DeadlinePromised, job, deadline_ms, starts_by_ms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DeadlineMissed, job)
static void to_json(nlohmann::json& json, const SpeedMeasured& x) {
  json = {{"job", x.job},       {"workers", x.workers},     {"nodes", x.nodes},
          {"step_s", x.step_s}, {"compute_s", x.compute_s}, {"resize_s", x.resize_s}};
  if (x.batches != 1) json["batches"] = x.batches;
}
static void from_json(const nlohmann::json& json, SpeedMeasured& x) {
  json.at("job").get_to(x.job);
  json.at("workers").get_to(x.workers);
  json.at("nodes").get_to(x.nodes);
  json.at("step_s").get_to(x.step_s);
  json.at("compute_s").get_to(x.compute_s);
  json.at("resize_s").get_to(x.resize_s);
  x.batches = json.value("batches", std::uint32_t{1});  // it was always one before
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(BatchChanged, job, step, batch)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TenantsChanged, text, at_start)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HeadStarted, version)

namespace {

template <class T>
constexpr const char* kTypeName = nullptr;
template <>
constexpr const char* kTypeName<JobSubmitted> = "job_submitted";
template <>
constexpr const char* kTypeName<JobSubmittedAgain> = "job_submitted_again";
template <>
constexpr const char* kTypeName<LeaseGranted> = "lease_granted";
template <>
constexpr const char* kTypeName<LeaseReleasing> = "lease_releasing";
template <>
constexpr const char* kTypeName<LeaseEnded> = "lease_ended";
template <>
constexpr const char* kTypeName<GenerationFormed> = "generation_formed";
template <>
constexpr const char* kTypeName<JobStateChanged> = "job_state_changed";
template <>
constexpr const char* kTypeName<CancelRequested> = "cancel_requested";
template <>
constexpr const char* kTypeName<JobSized> = "job_sized";
template <>
constexpr const char* kTypeName<EvaluationRecorded> = "evaluation_recorded";
template <>
constexpr const char* kTypeName<CheckpointCommitted> = "checkpoint_committed";
template <>
constexpr const char* kTypeName<WorkerCrashed> = "worker_crashed";
template <>
constexpr const char* kTypeName<RankFinished> = "rank_finished";
template <>
constexpr const char* kTypeName<SpeedMeasured> = "speed_measured";
template <>
constexpr const char* kTypeName<BatchChanged> = "batch_changed";
template <>
constexpr const char* kTypeName<TenantsChanged> = "tenants_changed";
template <>
constexpr const char* kTypeName<PauseRequested> = "pause_requested";
template <>
constexpr const char* kTypeName<ResumeRequested> = "resume_requested";
template <>
constexpr const char* kTypeName<NodeDrained> = "node_drained";
template <>
constexpr const char* kTypeName<NodeUndrained> = "node_undrained";
template <>
constexpr const char* kTypeName<TimeLimitReached> = "time_limit_reached";
template <>
constexpr const char* kTypeName<JobRetried> = "job_retried";
template <>
constexpr const char* kTypeName<JobForgotten> = "job_forgotten";
template <>
constexpr const char* kTypeName<PriorityChanged> = "priority_changed";
template <>
constexpr const char* kTypeName<WorkersScaled> = "workers_scaled";
template <>
constexpr const char* kTypeName<NodeQuarantined> = "node_quarantined";
template <>
constexpr const char* kTypeName<NodeCordoned> = "node_cordoned";
template <>
constexpr const char* kTypeName<NodeJoined> = "node_joined";
template <>
constexpr const char* kTypeName<NodeLost> = "node_lost";
template <>
constexpr const char* kTypeName<CheckpointChosen> = "checkpoint_chosen";
template <>
constexpr const char* kTypeName<ModelVersionAdded> = "model_version_added";
template <>
constexpr const char* kTypeName<ModelTagged> = "model_tagged";
template <>
constexpr const char* kTypeName<ModelServed> = "model_served";
template <>
constexpr const char* kTypeName<RolloutStopped> = "rollout_stopped";
template <>
constexpr const char* kTypeName<VersionProved> = "version_proved";
template <>
constexpr const char* kTypeName<ModelRemoved> = "model_removed";
template <>
constexpr const char* kTypeName<FileServed> = "file_served";
template <>
constexpr const char* kTypeName<QuarantineLifted> = "quarantine_lifted";
template <>
constexpr const char* kTypeName<DeadlinePromised> = "deadline_promised";
template <>
constexpr const char* kTypeName<DeadlineMissed> = "deadline_missed";
template <>
constexpr const char* kTypeName<HeadStarted> = "head_started";

template <std::size_t... I>
bool read_body(const std::string& type, const nlohmann::json& fields, Event::Body& body,
               std::index_sequence<I...>) {
  const auto try_type = [&]<class T>(T value) {
    if (type != kTypeName<T>) return false;
    fields.get_to(value);
    body = std::move(value);
    return true;
  };
  return (try_type(std::variant_alternative_t<I, Event::Body>{}) || ...);
}

}  // namespace

EventText write_event(const Event& event) {
  nlohmann::json document{{"at", event.at_ms}, {"by", event.by}, {"why", event.why}};
  std::visit(
      [&]<class T>(const T& body) {
        document["type"] = kTypeName<T>;
        document["fields"] = body;
      },
      event.body);
  try {
    return {document.dump(), !std::holds_alternative<EvaluationRecorded>(event.body) &&
                                 !std::holds_alternative<ModelVersionAdded>(event.body)};
  } catch (const nlohmann::json::type_error&) {
    // Replacing invalid UTF-8 instead of throwing: a reason may quote what a user's program printed.
    return {document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), false};
  }
}

std::string to_text(const Event& event) {
  return write_event(event).text;
}

std::optional<Event> event_from(std::string_view text) {
  try {
    const auto document = nlohmann::json::parse(text);
    Event event{document.at("at"), document.at("by"), document.at("why"), {}};
    if (!read_body(document.at("type"), document.at("fields"), event.body,
                   std::make_index_sequence<std::variant_size_v<Event::Body>>())) {
      return std::nullopt;
    }
    return event;
  } catch (const std::exception&) {  // json's, or a state that this version does not know
    return std::nullopt;
  }
}

}  // namespace ds::scheduler
