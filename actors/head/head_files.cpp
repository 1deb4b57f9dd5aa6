// Jobs that serve a file which they name: what is in it is the model's version.
#include <fmt/format.h>

#include <utility>

#include "actors/head/head_actor.hpp"
#include "storage/files/file_digest.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

constexpr std::uint64_t kMostServedFileBytes = std::uint64_t{8} << 30;  // as replicas read

}  // namespace

bool Head::read_served_file(const std::string& path,
                            std::function<void(Head&, const Result<std::string>&)> then) {
  const auto self = caf::actor_cast<caf::actor>(this);
  return parts_.file_thread->post([self, path, then = std::move(then)] {
    const auto digest = storage::digest_of_file(path, kMostServedFileBytes);
    caf::anon_send(self, Run{[digest, then](Head& head) { then(head, digest); }});
  });
}

/// A file that only nodes have is known once the first replica has read it.
void Head::choose_file(const Submission& submission, const gateway::Respond& respond) {
  const auto then = [submission, respond](Head& head, const Result<std::string>& digest) {
    // The same request, or the name, may have come a second time meanwhile.
    if (head.answer_known(submission.key, respond)) return;
    if (const auto* job = find_same_server(submission, head.ledger_))
      return head.serve_again(*job, submission.key, digest, respond);
    if (const auto refused = check_endpoint(submission.spec.name, head.ledger_)) return respond(*refused);
    auto dependencies = resolve_dependencies(submission, head.ledger_);
    if (const auto* wrong = std::get_if<gateway::HttpResponse>(&dependencies)) return respond(*wrong);
    head.accept(submission, std::get<std::vector<std::string>>(std::move(dependencies)),
                {{}, {}, digest.value_or("")}, respond);
  };
  if (!read_served_file(submission.spec.serve->source.path, then))
    respond(error_response({ErrorCode::unavailable, "the head is busy with other files", "try again"}));
}

/// Another content is another version, to which its replicas change one by one; the same one is no change.
/// What was answered once is not done again, so the key is kept in either case.
void Head::serve_again(const JobRecord& job, const std::string& key, const Result<std::string>& digest,
                       const gateway::Respond& respond) {
  const auto id = job.id;
  if (!digest) {
    return respond(error_response(
        {ErrorCode::conflict,
         fmt::format("job {} serves this file already, and the head can't see whether it has changed: {}", id,
                     digest.error().message),
         "cancel the job first, or ds-submit register the file as a version of a model"}));
  }
  const auto version = job.version_of_file(*digest);
  const ServedLine& line = job.lines.front();
  std::vector<Event> events;
  if (version != line.version || line.refused != 0) {
    spdlog::info("job {}: its file is another one now, version {} of its model", id, version);
    events.push_back(event("user", "submitted again with another file", FileServed{id, version, *digest}));
  }
  if (!key.empty()) events.push_back(event("user", "submitted again", JobSubmittedAgain{id, key}));
  note_lost_file(id, {});  // as it is now is what is served
  const ServedLines before{{id, job.lines}};
  commit(std::move(events),
         [this, respond, id] { respond(json_response(view(*ledger_.find(id), false, {}))); });
  on_tag_moved(before);
}

std::vector<Event> Head::file_events(const JobRecord& job, const std::string& digest) const {
  // What nobody can tell is taken for new: none of its replicas is left.
  const auto version = job.version_of_file(digest);
  return {event("user", "tried again with what its file is now", FileServed{job.id, version, digest})};
}

bool Head::is_right_file(const std::string& id, const messages::ReplicaHello& hello, std::uint64_t version) {
  const auto& job = *ledger_.find(id);
  const auto known = job.files.find(version);
  if (hello.digest.empty() || known == job.files.end() || known->second == hello.digest) return true;
  if (known->second.empty()) {
    commit({event("head", "its first replica has read it", FileServed{id, version, hello.digest})});
    return true;
  }
  const auto why = fmt::format(
      "{} was another file for this replica than for those of its version (SHA-256 {:.12} and {:.12})",
      job.spec->serve->source.path, hello.digest, known->second);
  spdlog::warn("worker {} of job {}: {}", hello.worker, id, why);
  const bool others_serve = !jobs_.at(id).serving->known.ready.empty();
  suspects_.insert_or_assign(hello.worker, Suspect{why, true, others_serve, true, true});
  kill_worker(hello.worker, why);
  return false;
}

}  // namespace ds::head
