// What the owners of jobs ask for. Asking twice is no error.
#include <fmt/format.h>

#include "actors/head/head_actor.hpp"

namespace ds::head {

using namespace scheduler;

void Head::change_job(const JobRecord& job, const std::string& verb, const gateway::Respond& respond) {
  const auto id = job.id;
  const bool is_asked_again = verb == "cancel" && job.state == JobState::cancelled;
  if (is_end(job.state) && !is_asked_again) {
    respond(error_response(
        {ErrorCode::conflict, fmt::format("job {} has ended already: {}", id, to_string(job.state)), {}}));
    return;
  }
  if (verb == "cancel") cancel(id);
  if (verb == "pause") pause(id);
  if (verb == "resume") resume(id);
  answer_with_job(id, respond);
}

void Head::answer_with_job(const std::string& id, const gateway::Respond& respond) {
  when_durable([this, respond, id] { respond(json_response(view(*ledger_.find(id), true))); });
}

void Head::cancel(const std::string& id) {
  if (is_end(ledger_.find(id)->state)) return;
  end_job(id, JobState::cancelled, "user", "cancelled by its owner",
          {event("user", "cancelled", CancelRequested{id})});
}

void Head::pause(const std::string& id) {
  if (ledger_.find(id)->pause_requested) return;
  const std::string why = "paused by its owner";
  spdlog::info("job {}: {}", id, why);
  release_workers(id, why,
                  {event("user", why, PauseRequested{id}),
                   event("user", why, JobStateChanged{id, JobState::paused, why})});
}

void Head::resume(const std::string& id) {
  if (!ledger_.find(id)->pause_requested) return;
  const std::string why = "resumed by its owner";
  spdlog::info("job {}: {}", id, why);
  commit({event("user", why, ResumeRequested{id}),
          event("user", why, JobStateChanged{id, JobState::queued, why})});
  schedule_soon();
}

}  // namespace ds::head
