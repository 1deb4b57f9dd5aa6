// The HTTP API of `clients/openapi.yaml`.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <iterator>

#include "actors/gateway/error_response.hpp"
#include "actors/head/deadline_offer.hpp"
#include "actors/head/expected_start.hpp"
#include "actors/head/head_actor.hpp"
#include "actors/head/model_views.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

constexpr std::size_t kMaxLogBytes = 256 << 10;
constexpr std::size_t kMostJobsAPage = 1000, kMostLooksAPage = 10'000;
constexpr std::size_t kMaxErrands = 4;
constexpr auto kErrandLimit = std::chrono::seconds(110);

/// The parts between slashes after `/api/v1/`.
std::vector<std::string> split_route(const std::string& path) {
  constexpr std::string_view kPrefix = "/api/v1/";
  std::vector<std::string> parts;
  if (!path.starts_with(kPrefix)) return parts;
  for (std::size_t at = kPrefix.size(); at <= path.size();) {
    auto end = path.find('/', at);
    if (end == std::string::npos) end = path.size();
    parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::optional<std::uint64_t> number_in_query(const gateway::HttpRequest& request, const std::string& name,
                                             std::uint64_t otherwise) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) return otherwise;
  std::uint64_t value = 0;
  const auto& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// `NAME-` and six characters that nobody can mistake for others.
std::string make_job_id(const std::string& name, const Ledger& ledger,
                        const std::function<std::uint32_t()>& random) {
  static constexpr std::string_view kAlphabet = "23456789abcdefghjkmnpqrstuvwxyz";
  while (true) {
    auto id = name.substr(0, 56) + "-";
    for (int i = 0; i < 6; ++i) id += kAlphabet[random() % kAlphabet.size()];
    if (ledger.find(id) == nullptr) return id;
  }
}

/// Whether the verb of a job's route asks for a change.
bool is_change(std::string_view verb) {
  static constexpr std::array<std::string_view, 6> kChanges{"cancel", "pause",    "resume",
                                                            "retry",  "priority", "scale"};
  return std::ranges::find(kChanges, verb) != kChanges.end();
}

}  // namespace

void handle_request(const caf::actor& head, gateway::HttpRequest request, gateway::Respond respond) {
  if (request.path == "/healthz") return respond(gateway::HttpResponse{200, "ok\n", "text/plain", {}});
  caf::anon_send(head, Run{[request = std::move(request), respond = std::move(respond)](Head& it) {
                   it.answer(request, respond);
                 }});
}

void with_cluster_metrics(const caf::actor& head, std::function<void(std::string)> then) {
  caf::anon_send(head, Run{[then = std::move(then)](Head& it) { then(it.metrics()); }});
}

std::string Head::metrics() {
  std::vector<NodeEntry> nodes;
  for (const auto& [name, node] : nodes_) nodes.push_back(node.entry);
  return cluster_metrics(ledger_, nodes, counters_, wait_counts());
}

bool Head::answer_known(const std::string& key, const gateway::Respond& respond) {
  const auto* known = key.empty() ? nullptr : ledger_.find_by_key(key);
  if (known == nullptr && !ledger_.is_forgotten_key(key)) return false;
  if (known == nullptr) {
    respond(
        error_response({ErrorCode::conflict, "what was submitted with this key was long ago and is forgotten",
                        "submit with another key"}));
    return true;
  }
  if (forgetting_.contains(known->id)) {
    respond(error_response({ErrorCode::conflict,
                            fmt::format("the job of this key, {}, is just being forgotten", known->id),
                            "try again"}));
    return true;
  }
  when_durable([this, respond, id = known->id] {
    const auto& job = *ledger_.find(id);
    auto answer = view(job, false, {});
    if (auto never_fits = why_never(job); !never_fits.empty()) answer["never_fits"] = std::move(never_fits);
    respond(json_response(answer));
  });
  return true;
}

void Head::submit(const gateway::HttpRequest& request, const gateway::Respond& respond) {
  // The key goes first: a job that was accepted stays accepted, whatever became of its files since.
  const auto key = idempotency_key(request);
  if (answer_known(key, respond)) return;
  const bool queued = check_job_file(request, [key, respond](Head& head, const CheckedSubmission& checked) {
    head.on_submission_checked(key, checked, respond);
  });
  if (!queued)
    respond(error_response({ErrorCode::unavailable, "the head is busy with other submissions", "try again"}));
}

bool Head::check_job_file(const gateway::HttpRequest& request,
                          std::function<void(Head&, const CheckedSubmission&)> then) {
  const auto self = caf::actor_cast<caf::actor>(this);
  return parts_.check_thread->post([self, request, then = std::move(then)] {
    const auto checked = std::make_shared<const CheckedSubmission>(check_submission(request));
    caf::anon_send(self, Run{[checked, then](Head& head) { then(head, *checked); }});
  });
}

void Head::on_submission_checked(const std::string& key, const CheckedSubmission& checked,
                                 const gateway::Respond& respond) {
  // The same request may have come twice and been accepted while this one was checked.
  if (answer_known(key, respond)) return;
  if (const auto* refused = std::get_if<gateway::HttpResponse>(&checked)) return respond(*refused);
  const auto& submission = std::get<Submission>(checked);
  if (const auto refused = check_tenant(submission, ledger_.tenants())) return respond(*refused);
  auto dependencies = resolve_dependencies(submission, ledger_);
  if (const auto* refused = std::get_if<gateway::HttpResponse>(&dependencies)) return respond(*refused);
  if (const auto room = parts_.journal->check_room(); !room) return respond(error_response(room.error()));
  const bool names_file =
      submission.spec.serve && submission.spec.serve->source.kind == ServedSource::Kind::file;
  if (names_file) return choose_file(submission, respond);
  if (submission.spec.serve) {
    if (const auto refused = check_endpoint(submission.spec.name, ledger_)) return respond(*refused);
    if (submission.spec.serve->source.kind == ServedSource::Kind::checkpoint)
      return choose_checkpoint(submission, respond);
  }
  auto lines = resolve_model(submission, ledger_);
  if (const auto* refused = std::get_if<gateway::HttpResponse>(&lines)) return respond(*refused);
  accept(submission, std::get<std::vector<std::string>>(std::move(dependencies)),
         {std::nullopt, std::get<std::vector<ServedLine>>(std::move(lines)), {}}, respond);
}

void Head::accept(const Submission& submission, std::vector<std::string> dependencies, const Served& served,
                  const gateway::Respond& respond) {
  const auto id = make_job_id(submission.spec.name, ledger_, parts_.random);
  const auto known = ledger_.keep_spec(submission.text, submission.directory, submission.spec);
  std::vector<Event> events{event("user", "submitted",
                                  JobSubmitted{id, submission.key, submission.file, submission.directory,
                                               submission.text, std::move(dependencies)})};
  if (served.checkpoint) {
    events.push_back(event("head", "the checkpoint that it names",
                           CheckpointChosen{id, served.checkpoint->first, served.checkpoint->second}));
  }
  if (!served.lines.empty()) {
    events.push_back(event("head", "the versions that it names",
                           ModelServed{id, submission.spec.serve->source.model, served.lines}));
  }
  if (served.file) events.push_back(event("head", "the file that it names", FileServed{id, 1, *served.file}));
  const bool has_deadline = submission.spec.has_deadline();
  if (has_deadline) {
    auto promised = promise_deadline(ledger_.draft(
        {kDraft, "", submission.file, submission.directory, submission.text}, submission.spec, now_ms()));
    if (const auto* refused = std::get_if<DeadlineRefused>(&promised)) return respond(to_response(*refused));
    auto& promise = std::get<DeadlinePromised>(promised);
    promise.job = id;
    events.push_back(event("scheduler", "it starts by " + to_time_text(promise.starts_by_ms) + " for certain",
                           std::move(promise)));
  }
  auto never_fits = has_deadline ? std::string() : why_never(submission);
  commit(std::move(events), [this, respond, id, never_fits = std::move(never_fits)] {
    if (is_serve(id)) ensure_serving(id);
    auto accepted = view(*ledger_.find(id), false, {});
    if (!never_fits.empty()) accepted["never_fits"] = never_fits;
    respond(json_response(accepted, 201));
    schedule_soon();
  });
  if (has_deadline) schedule();  // before anybody else comes
}

/// What would wait until there is room on the disk again is refused; so are answers whose news would, but
/// those may be there in a moment.
bool Head::refuse_while_full(const gateway::HttpRequest& request, const gateway::Respond& respond) const {
  const bool is_question = request.method == "GET";
  if (is_question && durable_ == appended_) return false;
  const auto progress = parts_.journal->check_progress();
  if (progress) return false;
  const auto& [code, message, hint] = progress.error();
  respond(error_response({is_question ? ErrorCode::unavailable : code,
                          "the head waits for room on its disk: " + message, hint}));
  return true;
}

/// Of the state: a full one refuses submissions.
nlohmann::json Head::disk_view() const {
  std::error_code error;
  const auto space = std::filesystem::space(parts_.data_dir, error);
  if (error) return nullptr;
  return {
      {"bytes", space.capacity}, {"free_bytes", space.available}, {"is_full", !parts_.journal->check_room()}};
}

void Head::answer(const gateway::HttpRequest& request, const gateway::Respond& respond) {
  if (refuse_while_full(request, respond)) return;
  const auto route = split_route(request.path);
  if (route.size() == 1 && route[0] == "cluster") {
    if (request.method != "GET") return respond(wrong_method("GET"));
    const auto& self = parts_.fabric->self();
    return respond(json_response(
        {{"cluster", parts_.cluster_id},
         {"version", parts_.version},
         {"time_ms", now_ms()},
         {"disk", disk_view()},
         {"tenants_applied", ledger_.tenants_text() != parts_.tenants},
         {"fabric", {{"id", std::to_string(self.id)}, {"host", self.host}, {"port", self.port}}}}));
  }
  if (route.size() == 1 && route[0] == "nodes") {
    if (request.method != "GET") return respond(wrong_method("GET"));
    return answer_nodes(respond);
  }
  if (route.size() == 3 && route[0] == "nodes") return answer_node(request, route[1], route[2], respond);
  if (route.size() == 1 && route[0] == "tenants") {
    if (request.method == "POST") return change_tenants(request, respond);
    if (request.method != "GET") return respond(wrong_method("GET, POST"));
    return answer_tenants(respond);
  }
  if (route.size() == 1 && route[0] == "usage") {
    if (request.method != "GET") return respond(wrong_method("GET"));
    return answer_usage(request, respond);
  }
  if (route.size() == 1 && route[0] == "jobs") {
    if (request.method == "POST") return submit(request, respond);
    if (request.method != "GET") return respond(wrong_method("GET, POST"));
    return answer_jobs(request, respond);
  }
  if (!route.empty() && route.size() <= 3 && route[0] == "models")
    return answer_models(request, route, respond);
  if (route.size() == 1 && route[0] == "events") {
    if (request.method != "GET") return respond(wrong_method("GET"));
    return answer_events(nullptr, request, respond);
  }
  if (route.size() == 1 && route[0] == "plan") {
    if (request.method != "POST") return respond(wrong_method("POST"));
    return plan_draft(request, respond);
  }
  if ((route.size() == 2 || route.size() == 3) && route[0] == "jobs") {
    return answer_job(request, route[1], route.size() == 3 ? route[2] : "", respond);
  }
  respond(error_response({ErrorCode::not_found, fmt::format("there is no {}", request.path), {}}));
}

/// A page of them, so that nobody waits long for the head. By their ids, which stay in place whatever comes.
void Head::answer_jobs(const gateway::HttpRequest& request, const gateway::Respond& respond) {
  const auto limit = number_in_query(request, "limit", kMostJobsAPage);
  if (!limit || *limit == 0 || *limit > kMostJobsAPage) {
    return respond(error_response({ErrorCode::invalid_argument,
                                   fmt::format("limit is a number of jobs from 1 to {}", kMostJobsAPage),
                                   {}}));
  }
  const auto filter = read_job_filter(request.query);
  if (!filter) return respond(error_response(filter.error()));
  const auto after = request.query.find("after");
  when_durable([this, respond, limit = *limit, filter = *filter, query = request.query,
                after = after == request.query.end() ? std::string() : after->second] {
    std::vector<const JobRecord*> jobs;
    std::vector<std::string> waiting;
    auto next = ledger_.jobs().upper_bound(after);
    std::string last;
    for (std::size_t looks = 0;
         next != ledger_.jobs().end() && jobs.size() < limit && looks < kMostLooksAPage; ++next, ++looks) {
      last = next->first;
      if (forgetting_.contains(last) || !has_wanted_labels(next->second.spec->labels, query)) continue;
      if (!is_wanted(next->second, filter)) continue;
      jobs.push_back(&next->second);
      if (is_waiting(next->second.state)) waiting.push_back(last);
    }
    std::ranges::sort(jobs, {}, &JobRecord::order);
    auto reasons = first_reasons(waiting, Coming::told);
    auto list = nlohmann::json::array();
    for (const auto* job : jobs) list.push_back(view(*job, false, reasons[job->id]));
    auto response = json_response(list);
    if (next != ledger_.jobs().end()) response.headers.emplace_back("DS-Next", last);
    respond(std::move(response));
  });
}

void Head::answer_job(const gateway::HttpRequest& request, const std::string& name, const std::string& verb,
                      const gateway::Respond& respond) {
  const auto* job = resolve_job(name, respond);
  if (job == nullptr) return;
  if (is_change(verb)) {
    if (request.method != "POST") return respond(wrong_method("POST"));
    return change_job(*job, verb, request, respond);
  }
  if (request.method != "GET") return respond(wrong_method("GET"));
  if (verb == "logs") return answer_logs(*job, request, respond);
  if (verb == "events") return answer_events(job, request, respond);
  if (verb == "checkpoints") return answer_checkpoints(*job, respond);
  if (verb == "export") return start_export(*job, request, respond);
  if (!verb.empty() && verb != "why") {
    return respond(error_response({ErrorCode::not_found, fmt::format("there is no {}", request.path), {}}));
  }
  when_durable([this, respond, id = job->id, verb] {
    const auto& record = *ledger_.find(id);
    if (verb.empty()) return respond(json_response(whole_view(record)));
    auto reasons = waits_of(record).reasons;  // which tells the planner what there is
    std::ranges::copy(rollout_reasons(record), std::back_inserter(reasons));
    const auto live = jobs_.find(id);
    if (live != jobs_.end() && live->second.serving && !live->second.serving->lost_file.empty())
      reasons.insert(reasons.begin(), {"file_changed", live->second.serving->lost_file, {}});
    const FindLive find_live = [this](const std::string& other) {
      const auto found = jobs_.find(other);
      return found == jobs_.end() ? nullptr : &found->second.live;
    };
    const auto expected =
        in_grace_ ? std::nullopt : expect_start(record, ledger_, planner_, find_live, now_ms());
    auto view = why_view(record, reasons);
    view["expected_start"] = expected_start_view(expected);
    respond(json_response(view));
  });
}

void Head::answer_logs(const JobRecord& job, const gateway::HttpRequest& request,
                       const gateway::Respond& respond) {
  const auto offset = number_in_query(request, "offset", 0);
  const auto limit = number_in_query(request, "limit", kMaxLogBytes);
  if (!offset || !limit || *limit == 0 || *limit > kMaxLogBytes) {
    return respond(error_response(
        {ErrorCode::invalid_argument,
         fmt::format("offset and limit are numbers of bytes, limit from 1 to {}", kMaxLogBytes),
         {}}));
  }
  const auto bytes = static_cast<std::size_t>(*limit);
  // A job's log may still grow for a moment after its end: it has ended for readers when its workers are
  // gone.
  const bool ended = is_end(job.state) && ledger_.leases_of(job.id).empty();
  const bool queued =
      parts_.log_thread->post([logs = parts_.logs, id = job.id, offset = *offset, bytes, ended, respond] {
        const auto part = logs->read(id, offset, bytes);
        if (!part) return respond(error_response(part.error()));
        respond(json_response({{"offset", part->offset},
                               {"next", part->next},
                               {"text", part->text},
                               {"ended", ended && part->text.empty()}}));
      });
  if (!queued) respond(error_response({ErrorCode::unavailable, "the head is busy with logs", "try again"}));
}

/// Of one job, or of all that happens.
void Head::answer_events(const JobRecord* job, const gateway::HttpRequest& request,
                         const gateway::Respond& respond) {
  const auto after = number_in_query(request, "after", 0);
  if (!after) return respond(error_response({ErrorCode::invalid_argument, "after is a number", {}}));
  const bool is_first = !request.query.contains("after");
  auto view =
      events_view(job == nullptr ? ledger_.history().recent(*after)
                                 : ledger_.history_of(*job, is_first ? std::nullopt : std::optional(*after)));
  if (job != nullptr) view["state"] = to_string(job->state);
  // Made before: what happens meanwhile is not durable then, and another head may give its numbers again.
  when_durable([respond, answer = json_response(view)] { respond(answer); });
}

void Head::answer_checkpoints(const JobRecord& job, const gateway::Respond& respond) {
  const bool queued = parts_.checkpoint_thread->post(
      [store = parts_.checkpoints, id = job.id, goal = scheduler::best_goal(*job.spec), respond] {
        const auto entries = store->list(id);
        respond(entries ? json_response(checkpoints_view(*entries, goal)) : error_response(entries.error()));
      });
  if (!queued)
    respond(error_response({ErrorCode::unavailable, "the head is busy with checkpoints", "try again"}));
}

void Head::start_export(const JobRecord& job, const gateway::HttpRequest& request,
                        const gateway::Respond& respond) {
  if (is_command(job.id)) {
    return respond(error_response(
        {ErrorCode::conflict, fmt::format("job {} is a command: it has no model to export", job.id), {}}));
  }
  const auto found = request.query.find("format");
  const std::string format = found == request.query.end() ? "torchscript" : found->second;
  if (format != "torchscript" && format != "state_dict" && format != "safetensors") {
    return respond(
        error_response({ErrorCode::invalid_argument, fmt::format("there is no export format {}", format),
                        "torchscript, state_dict or safetensors"}));
  }
  if (errands_.size() >= kMaxErrands) {
    return respond(error_response({ErrorCode::unavailable, "too many exports are under way", "try again"}));
  }
  const auto step = number_in_query(request, "step", 0);
  if (!step) return respond(error_response({ErrorCode::invalid_argument, "step is a number", {}}));
  const auto errand = next_errand_++;
  errands_[errand] = {job.id, format, {}, {}, respond};
  const auto self = caf::actor_cast<caf::actor>(this);
  const bool queued =
      parts_.checkpoint_thread->post([store = parts_.checkpoints, self, errand, id = job.id, step = *step] {
        auto checkpoint = [&]() -> Result<storage::Checkpoint> {
          if (step != 0) return store->load(id, step);
          auto newest = store->load_newest(id, nullptr);
          if (!newest) return tl::unexpected(newest.error());
          if (*newest) return std::move(**newest);
          return fail(ErrorCode::not_found, fmt::format("job {} has no checkpoint yet", id),
                      "wait for its first one");
        }();
        const auto shared = std::make_shared<Result<storage::Checkpoint>>(std::move(checkpoint));
        caf::anon_send(
            self, Run{[errand, shared](Head& head) { head.on_export_state(errand, std::move(*shared)); }});
      });
  if (!queued)
    return fail_errand(errand, {ErrorCode::unavailable, "the head is busy with checkpoints", "try again"});
  delayed_send(
      this, kErrandLimit, Run{[errand](Head& head) {
        head.fail_errand(errand, {ErrorCode::deadline_exceeded, "the export took too long", "try again"});
      }});
}

void Head::on_export_state(std::uint64_t errand, Result<storage::Checkpoint> checkpoint) {
  const auto found = errands_.find(errand);
  if (found == errands_.end()) return;
  if (!checkpoint) return fail_errand(errand, checkpoint.error());
  const auto open = std::ranges::find_if(nodes_, [&](const auto& one) { return !is_closed(one.first); });
  if (open == nodes_.end()) {
    const auto respond = end_errand(errand);
    return respond(gateway::error_response(503, "unplaceable", "no node is up to run the export on",
                                           "start a ds-node, or ds-submit undrain one"));
  }
  found->second.state = to_state(std::move(*checkpoint));
  // A model is a program and is only ever loaded in a process of its own, never in the head.
  const auto& node = open->second;
  found->second.node = node.entry.name;
  send(node.agent, messages::StartWorker{errand, found->second.job});
}

void Head::on_export_done(const messages::ExportDone& exported) {
  const auto respond = end_errand(exported.worker);
  if (!respond) return;
  if (!exported.error.empty()) return respond(error_response({ErrorCode::internal, exported.error, {}}));
  respond(gateway::HttpResponse{200, std::string(exported.file.text()), "application/octet-stream", {}});
}

void Head::fail_errand(std::uint64_t errand, const Error& why) {
  if (const auto respond = end_errand(errand)) respond(error_response(why));
}

gateway::Respond Head::end_errand(std::uint64_t errand) {
  const auto found = errands_.find(errand);
  if (found == errands_.end()) return {};
  const auto node = nodes_.find(found->second.node);
  if (node != nodes_.end()) send(node->second.agent, messages::KillWorker{errand, "its export is over"});
  auto respond = std::move(found->second.respond);
  errands_.erase(found);
  return respond;
}

}  // namespace ds::head
