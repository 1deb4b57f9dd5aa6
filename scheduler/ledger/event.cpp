#include "scheduler/ledger/event.hpp"

#include <nlohmann/json.hpp>
#include <utility>

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

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobSubmitted, job, key, file, directory, text)
static void to_json(nlohmann::json& json, const LeaseGranted& x) {
  json = {{"worker", x.worker},
          {"job", x.job},
          {"node", x.node},
          {"slots", x.slots},
          {"memory_bytes", x.memory_bytes},
          {"role", x.role}};
}
static void from_json(const nlohmann::json& json, LeaseGranted& x) {
  json.at("worker").get_to(x.worker);
  json.at("job").get_to(x.job);
  json.at("node").get_to(x.node);
  json.at("slots").get_to(x.slots);
  json.at("memory_bytes").get_to(x.memory_bytes);
  x.role = Role::worker;  // what journals from before there were roles mean
  if (json.contains("role")) json.at("role").get_to(x.role);
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LeaseReleasing, worker)
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
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobSized, job, total_steps, steps_per_epoch)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EvaluationRecorded, job, step, loss, metrics, majority_accuracy)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CheckpointCommitted, job, step)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkerCrashed, job, worker, in_a_row, retry_at_ms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RankFinished, job, worker)

namespace {

template <class T>
constexpr const char* kTypeName = nullptr;
template <>
constexpr const char* kTypeName<JobSubmitted> = "job_submitted";
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

std::string to_text(const Event& event) {
  nlohmann::json document{{"at", event.at_ms}, {"by", event.by}, {"why", event.why}};
  std::visit(
      [&]<class T>(const T& body) {
        document["type"] = kTypeName<T>;
        document["fields"] = body;
      },
      event.body);
  // Replacing invalid UTF-8 instead of throwing: a reason may quote what a user's program printed.
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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
