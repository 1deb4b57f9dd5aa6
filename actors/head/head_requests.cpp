// What the owners of jobs ask for. Asking twice is no error.
#include <fmt/format.h>

#include <algorithm>

#include "actors/head/deadline_offer.hpp"
#include "actors/head/head_actor.hpp"
#include "actors/head/quota_check.hpp"
#include "scheduler/spec/priority.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::head {

using namespace scheduler;

namespace {

/// What the owner of the job asks for.
Result<WorkerCount> read_worker_count(const JobRecord& job, const nlohmann::json& body) {
  const auto number = [&](const char* name) -> std::uint64_t {
    const auto given = body.find(name);
    return given == body.end() || !given->is_number_unsigned() ? 0 : given->get<std::uint64_t>();
  };
  const auto min = number("min"), max = number("max");
  if (min < 1 || min > max || max > job.spec->workers.max) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("job {} can have 1 to {} workers, min no more than max", job.id, job.spec->workers.max),
        job.spec->kind == JobKind::train
            ? "its file's workers.max is fixed: the shares of its batch, and so its results, depend on it"
            : "its file's workers.max is the most it may have; submit it with a larger one for more");
  }
  return WorkerCount{static_cast<std::uint32_t>(min), static_cast<std::uint32_t>(max)};
}

}  // namespace

void Head::change_job(const JobRecord& job, const std::string& verb, const gateway::HttpRequest& request,
                      const gateway::Respond& respond) {
  const auto id = job.id;
  // Its end must have had its effects, or these would hit what is started now.
  if (verb == "retry") return when_durable([this, id, respond] { retry(id, respond); });
  const bool is_asked_again = verb == "cancel" && job.state == JobState::cancelled;
  if (is_end(job.state) && !is_asked_again) {
    respond(error_response(
        {ErrorCode::conflict, fmt::format("job {} has ended already: {}", id, to_string(job.state)), {}}));
    return;
  }
  if (verb == "cancel") cancel(id);
  if (verb == "pause") pause_job(id);
  if (verb == "resume") {
    auto resumed = resume_job(id);
    return resumed ? answer_with_job(id, respond, *std::move(resumed))
                   : respond(error_response(resumed.error()));
  }
  if (verb == "priority" || verb == "scale") {
    const auto body = parse_body(request.body);
    if (!body) return respond(error_response(body.error()));
    if (verb == "scale") {
      const auto wanted = read_worker_count(job, *body);
      const auto refused = wanted ? check_quota(*job.spec, wanted->min, ledger_.tenants()) : std::nullopt;
      if (refused) return respond(*refused);
    }
    const auto changed = verb == "scale" ? scale(id, *body) : set_priority(id, *body);
    if (!changed) return respond(error_response(changed.error()));
  }
  answer_with_job(id, respond);
}

void Head::answer_with_job(const std::string& id, const gateway::Respond& respond, nlohmann::json more) {
  when_durable([this, respond, id, more = std::move(more)] {
    auto answer = whole_view(*ledger_.find(id));
    if (more.is_object()) answer.update(more);
    respond(json_response(answer));
  });
}

void Head::cancel(const std::string& id) {
  if (is_end(ledger_.find(id)->state)) return;
  end_job(id, JobState::cancelled, "user", "cancelled by its owner",
          {event("user", "cancelled", CancelRequested{id})});
}

void Head::pause_job(const std::string& id) {
  if (ledger_.find(id)->pause_requested) return;
  const std::string why = "paused by its owner";
  const auto& job = *ledger_.find(id);
  const auto and_loses = job.has_promise ? fmt::format("; its deadline {} is promised no more",
                                                       scheduler::to_time_text(job.deadline_ms))
                                         : std::string();
  spdlog::info("job {}: {}{}", id, why, and_loses);
  release_workers(id, why,
                  {event("user", why + and_loses, PauseRequested{id}),
                   event("user", why, JobStateChanged{id, JobState::paused, why})});
  tell_held(id);
}

Result<nlohmann::json> Head::resume_job(const std::string& id) {
  const auto& job = *ledger_.find(id);
  if (!job.pause_requested) return nlohmann::json::object();
  const std::string why = "resumed by its owner";
  std::vector<Event> events{event("user", why, ResumeRequested{id}),
                            event("user", why, JobStateChanged{id, JobState::queued, why})};
  Result<nlohmann::json> said = nlohmann::json::object();
  if (job.has_given_promise_up()) said = promise_anew(job, events);
  if (!said) return said;
  spdlog::info("job {}: {}", id, events.front().why);
  commit(std::move(events));
  tell_held(id);
  ledger_.find(id)->has_promise ? schedule() : schedule_soon();  // before anybody else comes
  return said;
}

/// It may have been forgotten since the request came, or be about to; then that is the answer.
bool Head::is_kept(const std::string& id, const gateway::Respond& respond) const {
  if (ledger_.find(id) != nullptr && !forgetting_.contains(id)) return true;
  respond(
      error_response({ErrorCode::not_found, fmt::format("job {} ended long ago and is forgotten", id), {}}));
  return false;
}

void Head::retry(const std::string& id, const gateway::Respond& respond) {
  if (!is_kept(id, respond)) return;
  const auto& job = *ledger_.find(id);
  if (!is_end(job.state) || !job.serves_file()) return retry(id, std::nullopt, respond);
  const bool queued = read_served_file(
      job.spec->serve->source.path, [id, respond](Head& head, const Result<std::string>& digest) {
        // It may have been tried again meanwhile, and end, which must have its effects first.
        head.when_durable(
            [&head, id, respond, digest = digest.value_or("")] { head.retry(id, digest, respond); });
      });
  if (!queued)
    respond(error_response({ErrorCode::unavailable, "the head is busy with other files", "try again"}));
}

void Head::retry(const std::string& id, const std::optional<std::string>& digest,
                 const gateway::Respond& respond) {
  if (!is_kept(id, respond)) return;
  const auto& job = *ledger_.find(id);
  if (job.state == JobState::succeeded) {
    return respond(error_response({ErrorCode::conflict, fmt::format("job {} has succeeded", id), {}}));
  }
  if (is_end(job.state)) {
    const auto gone = job.started_ms != 0
                          ? job.depends_on.end()
                          : std::ranges::find_if(job.depends_on, [this](const std::string& other) {
                              return ledger_.find(other) == nullptr || forgetting_.contains(other);
                            });
    if (gone != job.depends_on.end()) {
      return respond(error_response(
          {ErrorCode::conflict,
           fmt::format("job {} depends on job {}, which ended long ago and is forgotten", id, *gone),
           "submit it again without that one in depends_on"}));
    }
    if (is_serve(id)) {
      if (const auto refused = check_endpoint(job.spec->name, ledger_)) return respond(*refused);
      if (!ledger_.has_versions(job)) {
        return respond(
            error_response({ErrorCode::conflict,
                            fmt::format("what job {} serves has been removed from the registry: {}", id,
                                        job.spec->serve->source.text),
                            fmt::format("ds-submit models {} shows what there is", job.model)}));
      }
    }
    const std::string why = "its owner wants it to be tried again";
    spdlog::info("job {}: {}", id, why);
    std::vector<Event> events{event("user", why, JobRetried{id})};
    if (digest) {
      for (auto& one : file_events(job, *digest)) events.push_back(std::move(one));
    }
    commit(std::move(events));
    if (is_serve(id)) ensure_serving(id);
    schedule_soon();
  }
  answer_with_job(id, respond);
}

Result<void> Head::set_priority(const std::string& id, const nlohmann::json& body) {
  const auto given = body.find("priority");
  std::optional<std::uint32_t> priority;
  if (given != body.end() && given->is_string()) priority = priority_from(given->get<std::string>());
  if (given != body.end() && given->is_number_unsigned() && given->get<std::uint64_t>() <= kMaxPriority)
    priority = given->get<std::uint32_t>();
  if (!priority) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a priority is low, normal, high, critical or a number up to {}", kMaxPriority),
                "larger is more urgent");
  }
  if (ledger_.find(id)->priority == *priority) return {};
  const auto why = fmt::format("its owner gave it the priority {}", *priority);
  spdlog::info("job {}: {}", id, why);
  commit({event("user", why, PriorityChanged{id, *priority})});
  schedule_soon();
  return {};
}

Result<void> Head::scale(const std::string& id, const nlohmann::json& body) {
  const auto& job = *ledger_.find(id);
  if (is_serve(id)) {
    return fail(ErrorCode::conflict,
                fmt::format("job {} serves: its load decides how many replicas it has", id),
                "replicas and autoscale of its file say between which bounds, and when");
  }
  const auto wanted = read_worker_count(job, body);
  if (!wanted) return tl::unexpected(wanted.error());
  if (job.wanted() == *wanted) return {};
  const auto* promised = find_waiting_promise(ledger_);
  if (promised != nullptr && wanted->min > job.wanted().min) {
    return fail(
        ErrorCode::conflict,
        fmt::format("job {} was promised its start by {}, and a larger minimum of {} could be in its way",
                    promised->id, scheduler::to_time_text(promised->starts_by_ms), id),
        "try again when it has started");
  }
  const auto why = fmt::format("its owner wants {} to {} workers", wanted->min, wanted->max);
  spdlog::info("job {}: {}", id, why);
  commit({event("user", why, WorkersScaled{id, wanted->min, wanted->max})});
  may_be_over_quota_ = true;  // more of its workers may be taken now
  tell_leases(id);
  schedule_soon();
  return {};
}

}  // namespace ds::head
