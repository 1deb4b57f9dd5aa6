#include "actors/head/submission.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "actors/gateway/error_response.hpp"
#include "actors/head/quota_check.hpp"
#include "actors/head/views.hpp"
#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/overrides.hpp"
#include "scheduler/spec/section.hpp"
#include "scheduler/spec/tenant_choice.hpp"
#include "storage/dataset/csv_first_look.hpp"

namespace ds::head {
namespace {

constexpr std::size_t kMaxTextBytes = 64 << 10;
constexpr int kMaxJsonDepth = 32;
constexpr std::size_t kMaxKeyBytes = 128;
constexpr std::size_t kMaxPathBytes = 4096;

/// `field` without its last part until the file names it, so that an error points at the nearest line there
/// is.
scheduler::Mark nearest_mark(const std::map<std::string, scheduler::Mark>& marks, std::string field) {
  while (true) {
    const auto found = marks.find(field);
    if (found != marks.end()) return found->second;
    const auto dot = field.rfind('.');
    if (dot == std::string::npos) return {};
    field.resize(dot);
  }
}

/// The column of `field`, when it is made of one alone.
const std::string* column_of(const scheduler::SourceSpec& source, std::string_view field) {
  for (const scheduler::FieldColumns& columns : source.columns)
    if (columns.field == field && columns.columns.size() == 1) return &columns.columns.front();
  return nullptr;
}

/// Looks into a source that is one plain CSV file of texts; others are looked at by the workers.
void check_source(const scheduler::ParsedJob& job, const scheduler::SourceSpec& source,
                  const std::string& field, std::vector<scheduler::SpecError>& errors) {
  const std::string* text = column_of(source, "text");
  const std::string* label = column_of(source, "label");
  const bool is_plain = source.format == "csv" && source.header && source.paths.size() == 1 &&
                        source.columns.size() == 2 && text != nullptr && label != nullptr;
  if (!is_plain) return;
  const std::string& path = source.paths.front();
  if (path.ends_with(".gz") || path.ends_with(".zst") || path.find_first_of("*?[") != std::string::npos)
    return;
  const auto checked = storage::check_labelled_text(path, *text, *label);
  if (checked) return;
  errors.push_back(
      {field, nearest_mark(job.marks, field + ".source"), checked.error().message, checked.error().hint});
}

/// Whose the job is when its client says so: `tenant` whatever the file says, `default_tenant` where the file
/// names none.
Result<std::string> tenant_of_client(const nlohmann::json& body, bool is_named) {
  for (const char* field : {"tenant", "default_tenant"}) {
    const auto found = body.find(field);
    if (found == body.end() || (is_named && field != std::string_view("tenant"))) continue;
    if (found->is_string() && scheduler::is_identifier(found->get_ref<const std::string&>()))
      return found->get<std::string>();
    return fail(ErrorCode::invalid_argument,
                fmt::format("the tenant that was asked for (--tenant, DS_TENANT) is no name: {}",
                            found->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)),
                "a name has 1 to 63 of a-z, 0-9, '.', '_', '-' and starts with a letter or digit");
  }
  return std::string();
}

/// What the client sets beside the file, `PATH=VALUE` each.
Result<std::vector<std::string>> overrides_of(const nlohmann::json& body) {
  std::vector<std::string> overrides;
  const auto found = body.find("set");
  if (found == body.end()) return overrides;
  const auto refuse = [] {
    return fail(ErrorCode::invalid_argument,
                fmt::format("\"set\" is a list of at most {} texts PATH=VALUE, 64 KiB together",
                            scheduler::kMaxOverrides),
                "write what is set into the job file");
  };
  if (!found->is_array() || found->size() > scheduler::kMaxOverrides) return refuse();
  std::size_t bytes = 0;
  for (const auto& one : *found) {
    if (!one.is_string()) return refuse();
    overrides.push_back(one.get<std::string>());
    bytes += overrides.back().size();
  }
  if (bytes > kMaxTextBytes) return refuse();
  return overrides;
}

/// Writes it into the job's text. Marks still say where things stand in the file as the user has it.
Result<void> take_tenant(const std::string& tenant, Submission& submission) {
  const auto changed = scheduler::name_tenant(submission.text, tenant);
  auto parsed = changed ? scheduler::parse_job_file(*changed, submission.directory)
                        : std::variant<scheduler::ParsedJob, std::vector<scheduler::SpecError>>{
                              std::vector<scheduler::SpecError>{}};
  auto* job = std::get_if<scheduler::ParsedJob>(&parsed);
  if (job == nullptr || job->spec.tenant != tenant)
    return fail(ErrorCode::invalid_argument, "the job file has no place for tenant: " + tenant,
                "write it into the file");
  submission.text = *changed;
  submission.spec = std::move(job->spec);
  submission.marks.erase("tenant");
  return {};
}

CheckedSubmission check_request(const gateway::HttpRequest& request) {
  auto body = parse_body(request.body);
  if (!body) return error_response(body.error());
  Submission submission;
  for (const auto& [name, target] :
       {std::pair{"file", &submission.file}, std::pair{"directory", &submission.directory},
        std::pair{"text", &submission.text}}) {
    const auto found = body->find(name);
    if (found == body->end() || !found->is_string()) {
      return error_response(
          {ErrorCode::invalid_argument, fmt::format("the body needs \"{}\", a string", name), {}});
    }
    found->get_to(*target);
  }
  if (submission.text.size() > kMaxTextBytes) {
    return error_response({ErrorCode::invalid_argument, "the job file is larger than 64 KiB", {}});
  }
  for (const auto* text : {&submission.file, &submission.directory}) {
    const bool is_plain = std::ranges::none_of(*text, [](char c) { return c == '\0' || c == '\n'; });
    if (is_plain && text->size() <= kMaxPathBytes) continue;
    return error_response(
        {ErrorCode::invalid_argument,
         fmt::format("\"file\" and \"directory\" are paths of at most {} bytes", kMaxPathBytes),
         {}});
  }
  if (submission.directory.empty() || submission.directory.front() != '/') {
    return error_response({ErrorCode::invalid_argument, "\"directory\" must be an absolute path", {}});
  }
  submission.key = idempotency_key(request);
  if (!std::all_of(submission.key.begin(), submission.key.end(),
                   [](char c) { return c > ' ' && c < 0x7f; })) {
    return error_response({ErrorCode::invalid_argument, "Idempotency-Key is not printable ASCII", {}});
  }
  if (submission.key.size() > kMaxKeyBytes) {
    return error_response({ErrorCode::invalid_argument, "Idempotency-Key is longer than 128 bytes", {}});
  }
  const auto overrides = overrides_of(*body);
  if (!overrides) return error_response(overrides.error());
  auto parsed = scheduler::parse_job_file(submission.text, submission.directory, *overrides);
  if (auto* errors = std::get_if<std::vector<scheduler::SpecError>>(&parsed)) {
    return invalid_job_response(*errors, submission.file);
  }
  auto& [job, text] = std::get<scheduler::OverriddenJob>(parsed);
  submission.text = std::move(text);
  std::vector<scheduler::SpecError> errors;
  if (job.spec.kind == scheduler::JobKind::train)
    check_source(job, job.spec.data.train, "data.train", errors);
  if (job.spec.data.validate) check_source(job, *job.spec.data.validate, "data.validate", errors);
  if (!errors.empty()) return invalid_job_response(errors, submission.file);
  submission.spec = std::move(job.spec);
  submission.marks = std::move(job.marks);
  const auto tenant = tenant_of_client(*body, submission.marks.contains("tenant"));
  if (!tenant) return error_response(tenant.error());
  if (!tenant->empty()) {
    if (const auto taken = take_tenant(*tenant, submission); !taken) return error_response(taken.error());
  }
  return submission;
}

}  // namespace

Result<nlohmann::json> parse_body(const std::string& body) {
  std::vector<std::set<std::string>> keys;
  std::string problem;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > kMaxJsonDepth)
      problem = fmt::format("the body is nested deeper than {} levels", kMaxJsonDepth);
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end && !keys.empty()) keys.pop_back();
    if (event == Event::key && !keys.empty() && !keys.back().insert(parsed.get<std::string>()).second) {
      problem = fmt::format("the body has the key \"{}\" twice", parsed.get<std::string>());
    }
    return problem.empty();
  };
  try {
    auto document = nlohmann::json::parse(body, watch);
    if (!problem.empty()) return fail(ErrorCode::invalid_argument, problem);
    if (!document.is_object()) return fail(ErrorCode::invalid_argument, "the body is not a JSON object");
    return document;
  } catch (const nlohmann::json::exception& error) {
    if (!problem.empty()) return fail(ErrorCode::invalid_argument, problem);
    return fail(ErrorCode::invalid_argument, fmt::format("the body is not JSON: {}", error.what()));
  }
}

std::string idempotency_key(const gateway::HttpRequest& request) {
  const auto key = request.headers.find("idempotency-key");
  return key == request.headers.end() ? std::string() : key->second;
}

CheckedSubmission check_submission(const gateway::HttpRequest& request) {
  try {
    return check_request(request);
  } catch (const std::exception& error) {
    return error_response(
        {ErrorCode::internal, fmt::format("the job could not be checked: {}", error.what()), {}});
  }
}

std::variant<std::vector<std::string>, gateway::HttpResponse> resolve_dependencies(
    const Submission& submission, const scheduler::Ledger& ledger) {
  std::vector<std::string> ids;
  std::vector<scheduler::SpecError> errors;
  for (std::size_t i = 0; i < submission.spec.depends_on.size(); ++i) {
    const std::string& name = submission.spec.depends_on[i];
    const auto found = ledger.match(name);
    const std::string field = fmt::format("depends_on[{}]", i);
    if (found.size() == 1 && found.front()->spec->serve) {
      errors.push_back({field, nearest_mark(submission.marks, field),
                        fmt::format("job {} serves a model, which never succeeds", found.front()->id),
                        "name a job of kind train or command"});
      continue;
    }
    if (found.size() == 1) {
      ids.push_back(found.front()->id);
      continue;
    }
    errors.push_back({field, nearest_mark(submission.marks, field),
                      found.empty() ? fmt::format("there is no job \"{}\"", name)
                                    : fmt::format("{} jobs are named \"{}\"", found.size(), name),
                      found.empty() ? "ds-submit list shows the jobs there are" : "name one by its id"});
  }
  if (!errors.empty()) return invalid_job_response(errors, submission.file);
  return ids;
}

gateway::HttpResponse refuse_field(const Submission& submission, const std::string& field,
                                   const std::string& message, const std::string& hint) {
  const scheduler::SpecError error{field, nearest_mark(submission.marks, field), message, hint};
  return invalid_job_response(std::span(&error, 1), submission.file);
}

std::optional<gateway::HttpResponse> check_endpoint(const std::string& name,
                                                    const scheduler::Ledger& ledger) {
  for (const auto* job : ledger.named(name)) {
    if (!job->spec->serve || scheduler::is_end(job->state)) continue;
    return error_response({ErrorCode::conflict,
                           fmt::format("job {} serves a model named {} already", job->id, name),
                           "give it another name, or cancel that job first"});
  }
  return std::nullopt;
}

const scheduler::JobRecord* find_same_server(const Submission& submission, const scheduler::Ledger& ledger) {
  for (const auto* job : ledger.named(submission.spec.name)) {
    // Heads before knew of no versions of files.
    const bool has_versions = job->serves_file() && !job->lines.empty();
    if (!scheduler::is_end(job->state) && has_versions && *job->spec == submission.spec) return job;
  }
  return nullptr;
}

std::variant<std::string, scheduler::ModelFault> find_training_job(const std::string& name,
                                                                   const scheduler::Ledger& ledger) {
  std::vector<const scheduler::JobRecord*> found = ledger.match(name);
  std::erase_if(found, [](const auto* job) { return job->spec->kind != scheduler::JobKind::train; });
  if (found.size() == 1) return found.front()->id;
  if (found.empty())
    return scheduler::ModelFault{fmt::format("there is no training job \"{}\"", name),
                                 "ds-submit list shows the jobs there are"};
  const auto newest = std::ranges::max_element(found, {}, [](const auto* job) { return job->order; });
  return scheduler::ModelFault{fmt::format("{} jobs are named \"{}\"", found.size(), name),
                               fmt::format("name one by its id; the newest is {}", (*newest)->id)};
}

std::variant<std::string, gateway::HttpResponse> resolve_checkpoint_job(const Submission& submission,
                                                                        const scheduler::Ledger& ledger) {
  auto found = find_training_job(submission.spec.serve->source.job, ledger);
  if (const auto* fault = std::get_if<scheduler::ModelFault>(&found))
    return refuse_field(submission, "model.source", fault->message, fault->hint);
  return std::get<std::string>(std::move(found));
}

std::variant<std::vector<scheduler::ServedLine>, gateway::HttpResponse> resolve_model(
    const Submission& submission, const scheduler::Ledger& ledger) {
  using Found = scheduler::ModelRegistry::Found;
  std::vector<scheduler::ServedLine> lines;
  if (!submission.spec.serve) return lines;
  const auto& serve = *submission.spec.serve;
  if (serve.source.kind != scheduler::ServedSource::Kind::registry) return lines;
  auto parts = serve.traffic;
  if (parts.empty()) parts.push_back({serve.source.reference, 100});
  for (const auto& part : parts) {
    const auto found = ledger.registry().resolve(serve.source.model, part.reference);
    if (const auto* fault = std::get_if<scheduler::ModelFault>(&found)) {
      const bool is_known = ledger.registry().find(serve.source.model) != nullptr;
      const auto field = serve.traffic.empty() || !is_known ? std::string("model.source")
                                                            : scheduler::join_path("traffic", part.reference);
      return refuse_field(submission, field, fault->message, fault->hint);
    }
    const auto& [model, version, tag] = std::get<Found>(found);
    lines.push_back({.tag = tag, .share = part.share, .version = version->number});
  }
  return lines;
}

Result<std::uint64_t> choose_step(std::span<const storage::CheckpointEntry> entries,
                                  const scheduler::Goal& goal, const scheduler::ServedSource& source) {
  if (entries.empty())
    return fail(ErrorCode::not_found, fmt::format("job {} has no checkpoint yet", source.job),
                "wait for its first one: ds-submit checkpoints " + source.job);
  if (source.step) {
    if (std::ranges::find(entries, *source.step, &storage::CheckpointEntry::step) != entries.end())
      return *source.step;
    return fail(ErrorCode::not_found,
                fmt::format("job {} has no checkpoint of step {}", source.job, *source.step),
                "ds-submit checkpoints " + source.job + " shows those that there are");
  }
  const storage::CheckpointEntry* best = nullptr;
  for (const auto& entry : entries) {
    const auto metric = entry.metrics.find(goal.metric);
    if (metric == entry.metrics.end()) continue;
    const double most = best == nullptr ? metric->second : best->metrics.at(goal.metric);
    const bool is_better = goal.larger ? metric->second >= most : metric->second <= most;
    if (best == nullptr || is_better) best = &entry;
  }
  if (source.is_best && best != nullptr) return best->step;
  return std::ranges::max_element(entries, {}, &storage::CheckpointEntry::step)->step;
}

std::optional<gateway::HttpResponse> check_tenant(const Submission& submission,
                                                  const scheduler::TenantTree& tenants) {
  const scheduler::JobSpec& spec = submission.spec;
  const auto found = scheduler::resolve_queue(tenants, spec.tenant, spec.queue);
  if (const auto* fault = std::get_if<scheduler::QueueFault>(&found)) {
    const scheduler::SpecError error{fault->field, nearest_mark(submission.marks, fault->field),
                                     fault->message, fault->hint};
    return invalid_job_response(std::span(&error, 1), submission.file);
  }
  return check_quota(spec, spec.workers.min, tenants);
}

}  // namespace ds::head
