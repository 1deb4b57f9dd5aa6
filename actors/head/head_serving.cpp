// Jobs that serve models: their replicas come and go one by one, each by itself.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "actors/head/head_actor.hpp"
#include "actors/head/model_views.hpp"
#include "actors/head/served_batching.hpp"
#include "actors/replica/tensor_message.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

AutoscaleOptions to_options(const JobRecord& job) {
  const JobSpec& spec = *job.spec;
  const ServeSpec& serve = *spec.serve;
  AutoscaleOptions options;
  options.min = spec.workers.min;
  options.max = spec.workers.max;
  // Each version has one at least.
  if (options.min > 0) options.min = std::max(options.min, static_cast<std::uint32_t>(job.lines.size()));
  options.target = serve.autoscale.target;
  options.p99_ms = static_cast<double>(serve.p99_ms);
  options.up_delay_ms = serve.autoscale.up_delay_ms;
  options.down_delay_ms = serve.autoscale.down_delay_ms;
  options.to_zero_after_ms = serve.autoscale.to_zero_after_ms;
  return options;
}

/// A job that was just submitted, or resumed, may start at once.
constexpr std::int64_t kPlannedWithinMs = 2'000;

/// For a replica that was told to leave, beside its `drain`.
constexpr std::chrono::milliseconds kReplicaLeaveLimit{10'000};

/// The line for people in a report of a quantization; empty: there is none.
std::string quantization_text(const std::string& report) {
  const auto json = nlohmann::json::parse(report, nullptr, false);
  return json.is_object() && json.contains("text") && json.at("text").is_string()
             ? json.at("text").get<std::string>()
             : std::string();
}

constexpr const char* kSleeps = "it sleeps: the next request starts a replica";

}  // namespace

bool Head::is_serve(const std::string& id) const {
  const auto* record = ledger_.find(id);
  return record != nullptr && record->spec->kind == JobKind::serve;
}

void Head::ensure_serving(const std::string& id) {
  const auto* record = ledger_.find(id);
  if (is_end(record->state)) return;
  auto& job = jobs_[id];
  if (job.serving) return;
  const ServeSpec& serve = *record->spec->serve;
  const auto leave = std::chrono::milliseconds(serve.drain_ms) + kReplicaLeaveLimit;
  job.serving.emplace(Serving{.watch = job::ReplicaWatch({.leave = leave})});
  job.serving->known.unheard = {record->members.begin(), record->members.end()};
  served_.insert(id);
  parts_.router->set_endpoint({record->spec->name, id, serve.queue.max_depth, serve.queue.max_bytes,
                               std::chrono::milliseconds(serve.queue.timeout_ms), batching_of(serve),
                               record->spec->resources.gpus > 0});
  parts_.router->set_wanted(id, record->replicas());
  tell_versions(*record, *job.serving);
  tell_held(id);
}

/// Where it has been ready, or sleeps, its next replica is waited for.
bool Head::was_never_placed(const JobRecord& record) const {
  return record.state == JobState::queued && record.generation == 0 && record.workers == 0 &&
         record.restarts == 0 && record.replicas() > 0 && !record.pause_requested && !in_grace_;
}

void Head::tell_all_held() {
  std::vector<std::string> queued;
  for (const auto& id : served_) {
    auto& queued_since_ms = jobs_.at(id).serving->queued_since_ms;
    if (!was_never_placed(*ledger_.find(id))) {
      queued_since_ms = 0;
      continue;
    }
    if (queued_since_ms == 0) queued_since_ms = now_ms();
    if (now_ms() - queued_since_ms >= kPlannedWithinMs) queued.push_back(id);
  }
  const auto reasons = first_reasons(queued, Coming::left_out);  // one plan, however many there are
  for (const auto& id : served_) {
    const auto reason = reasons.find(id);
    tell_held(id, reason == reasons.end() ? std::string() : reason->second);
  }
}

void Head::tell_held(const std::string& id, const std::string& waits_for) {
  const auto job = jobs_.find(id);
  if (job == jobs_.end() || !job->second.serving || is_end(ledger_.find(id)->state)) return;
  std::string why;
  if (ledger_.find(id)->pause_requested) {
    why = fmt::format("the model is paused by its owner; ds-submit resume {} lets it go on", id);
  } else if (!job->second.serving->lost_file.empty()) {
    why = job->second.serving->lost_file;
  } else if (!waits_for.empty()) {
    why = fmt::format("the model is queued, and none of its replicas has been ready yet: {}", waits_for);
  }
  if (why == job->second.serving->held) return;
  job->second.serving->held = why;
  parts_.router->set_held(id, std::move(why));
}

void Head::note_lost_file(const std::string& id, const std::string& why) {
  const auto job = jobs_.find(id);
  if (job == jobs_.end() || !job->second.serving) return;  // of a submission that is not durable yet
  auto& lost_file = job->second.serving->lost_file;
  if (lost_file.empty() && why.empty()) return;
  lost_file = why.empty() ? "" : "none of its replicas can start: " + why;
  tell_held(id);
}

/// Replicas may have to start on any of them, while a request waits. Told once each.
void Head::prepare_nodes() {
  for (auto& [name, node] : nodes_) {
    if (node.is_prepared || node.entry.pretends || !node.agent) continue;
    node.is_prepared = true;
    send(node.agent, messages::PrepareToStart{});
  }
}

void Head::on_replica_hello(const messages::ReplicaHello& hello) {
  const auto replica = parts_.fabric->resolve(hello.actor);
  const auto lease = ledger_.leases().find(hello.worker);
  const auto job = lease == ledger_.leases().end() ? jobs_.end() : jobs_.find(lease->second.job);
  if (job == jobs_.end() || !job->second.serving) return send(replica, messages::StopWorker{hello.worker});
  const std::string& id = job->first;
  Serving& serving = *job->second.serving;
  auto& reached = serving.replicas[hello.worker];
  if (reached != replica) monitor(replica);
  reached = replica;
  serving.watch.on_hello(hello.worker, hello.ready, life());
  if (lease->second.releasing) {
    serving.leaving.erase(hello.worker);  // it may not have heard
    return tell_replicas(id);
  }
  const auto version = std::max<std::uint64_t>(lease->second.version, 1);
  if (!hello.ready) return send(replica, assignment(*ledger_.find(id), lease->second));
  if (!is_right_file(id, hello, version)) return;
  if (!hello.quantization.empty()) serving.quantization[version] = hello.quantization;
  serving::ModelMetadata metadata;
  metadata.name = ledger_.find(id)->spec->name;
  metadata.max_batch_size = hello.max_batch_size;
  metadata.inputs = replica::to_specs(hello.inputs);
  metadata.outputs = replica::to_specs(hello.outputs);
  if (!hello.classes.empty())
    metadata.classes = std::make_shared<const std::vector<std::string>>(hello.classes);
  metadata.quantization = quantization_text(hello.quantization);
  metadata.padding = replica::to_padding(hello.padding, metadata);
  parts_.router->add_replica(id, hello.worker, replica, version, std::move(metadata));
  note_lost_file(id, {});
  serving.known.unheard.erase(hello.worker);
  if (!serving.known.ready.insert(hello.worker).second) return;
  job->second.spare_starts = {};  // the next can, too
  job->second.spare_trouble.clear();
  serving.trial.on_ready(version);
  note_ready(id);
  roll(id);
}

std::string Head::serving_text(const JobRecord& record) const {
  const auto job = jobs_.find(record.id);
  const bool is_served = job != jobs_.end() && job->second.serving;
  const std::size_t replicas = is_served ? job->second.serving->known.ready.size() : 0;
  if (replicas == 0) return kSleeps;
  VersionCounts versions;
  for (const auto worker : job->second.serving->known.ready) {
    const auto lease = ledger_.leases().find(worker);
    if (lease != ledger_.leases().end()) ++versions[lease->second.version];
  }
  auto text = fmt::format("serves with {} replica{}{}", replicas, replicas == 1 ? "" : "s",
                          served_text(record, versions));
  if (!job->second.spare_trouble.empty()) text += "; " + job->second.spare_trouble;
  return text;
}

/// The ready replicas are the job's members, as `status` shows them; after a start of the head with those
/// that were ready before it.
void Head::note_ready(const std::string& id) {
  const auto* record = ledger_.find(id);
  const auto& known = jobs_.at(id).serving->known;
  const auto members = known.members();
  const std::string by = "scheduler", why = serving_text(*record);
  std::vector<Event> events;
  if (members != record->members)
    events.push_back(event(by, why, GenerationFormed{id, record->generation + 1, members, 0, {}}));
  if (!known.ready.empty() && record->state != JobState::paused && record->state != JobState::preempted)
    events.push_back(event(by, why, JobStateChanged{id, JobState::running, why}));
  commit(std::move(events));
}

void Head::on_replica_failed(const messages::ReplicaFailed& failed) {
  const auto lease = ledger_.leases().find(failed.worker);
  if (lease == ledger_.leases().end() || !is_serve(lease->second.job)) return;
  const std::string id = lease->second.job;
  const auto job = jobs_.find(id);
  const auto* serving = job != jobs_.end() && job->second.serving ? &*job->second.serving : nullptr;
  const bool others_serve = serving != nullptr && !serving->known.ready.empty();
  const auto& lines = ledger_.find(id)->lines;
  const bool is_wanted = !lines.empty() && lines.front().version == lease->second.version;
  // Nobody is to wait for the file to become what it was.
  if (failed.is_other_file && serving != nullptr && is_wanted && !others_serve &&
      serving->known.unheard.empty())
    note_lost_file(id, failed.why);
  const bool is_new = !failed.only_here && stop_rollout(id, lease->second.version, failed.why);
  if (!failed.only_here && !others_serve && !is_new)
    return end_job(id, JobState::failed, fmt::format("worker {}", failed.worker), failed.why);
  suspects_.insert_or_assign(failed.worker, Suspect{failed.why, true, others_serve || is_new,
                                                    failed.only_here, failed.is_other_file});
  kill_worker(failed.worker, failed.why);
}

void Head::on_replica_down(const caf::actor_addr& replica) {
  for (const auto& id : served_) {
    const auto job = jobs_.find(id);
    if (job == jobs_.end() || !job->second.serving) continue;
    for (const auto& [worker, actor] : job->second.serving->replicas) {
      if (actor.address() == replica) job->second.serving->watch.on_lost(worker, life());
    }
  }
}

void Head::watch_replicas() {
  std::erase_if(served_, [this](const std::string& id) {
    const auto job = jobs_.find(id);
    return job == jobs_.end() || !job->second.serving;
  });
  if (in_grace_) return;  // their nodes may still be on their way back
  for (const auto& id : std::set(served_)) {
    Serving& serving = *jobs_.at(id).serving;
    std::vector<job::ReplicaWatch::Lease> leases;
    for (const auto& lease : ledger_.leases_of(id)) leases.push_back({lease.worker, lease.releasing});
    for (const auto& late : serving.watch.look(leases, life())) {
      spdlog::warn("worker {} of job {}: {}", late.worker, id, late.why);
      const bool others_serve = serving.known.ready.size() > serving.known.ready.count(late.worker);
      if (!late.is_leaving)
        suspects_.insert_or_assign(late.worker, Suspect{late.why, late.is_at_fault, others_serve, false});
      kill_worker(late.worker, late.why);
    }
    watch_trials(id);
    roll(id);
  }
  tell_all_held();
}

void Head::tell_replicas(const std::string& id) {
  const auto job = jobs_.find(id);
  if (job == jobs_.end() || !job->second.serving) return;
  Serving& serving = *job->second.serving;
  std::vector<std::uint64_t> leaving;
  for (const auto& lease : ledger_.leases_of(id)) {
    if (lease.releasing) serving.known.unheard.erase(lease.worker);
    if (lease.releasing && serving.replicas.contains(lease.worker) && !serving.leaving.contains(lease.worker))
      leaving.push_back(lease.worker);
  }
  bool has_changed = false;
  for (const auto worker : leaving) {
    serving.leaving.insert(worker);
    has_changed |= serving.known.ready.erase(worker) == 1;
    parts_.router->drain_replica(id, worker);
  }
  if (has_changed) note_ready(id);
  when_durable([this, id, leaving] {
    const auto told = jobs_.find(id);
    if (told == jobs_.end() || !told->second.serving) return;
    for (const auto worker : leaving) {
      const auto replica = told->second.serving->replicas.find(worker);
      if (replica != told->second.serving->replicas.end())
        send(replica->second, messages::StopWorker{worker});
    }
  });
}

bool Head::forget_replica(const Lease& lease, bool has_crashed) {
  const auto job = jobs_.find(lease.job);
  if (job == jobs_.end() || !job->second.serving) return false;
  Serving& serving = *job->second.serving;
  serving.replicas.erase(lease.worker);
  serving.leaving.erase(lease.worker);
  serving.known.unheard.erase(lease.worker);
  parts_.router->remove_replica(lease.job, lease.worker, has_crashed);
  const bool was_ready = serving.known.ready.erase(lease.worker) == 1;
  if (was_ready) note_ready(lease.job);
  return was_ready;
}

void control_model(const caf::actor& head, std::string model, serving::ModelControl what,
                   std::function<void(Result<void>)> then) {
  caf::anon_send(head, Run{[model = std::move(model), what, then = std::move(then)](Head& it) {
                   it.control_model(model, what, then);
                 }});
}

void Head::control_model(const std::string& model, serving::ModelControl what,
                         const std::function<void(Result<void>)>& then) {
  if (const auto progress = parts_.journal->check_progress(); !progress) return then(progress);
  const auto jobs = ledger_.named(model);
  const auto job = std::ranges::find_if(
      jobs, [](const JobRecord* one) { return one->spec->serve && !is_end(one->state); });
  if (job == jobs.end()) {
    return when_durable([model, then] {
      then(fail(ErrorCode::not_found, fmt::format("Request for unknown model: '{}' is not found", model),
                "a model is served by a job of that name: ds-submit run -f FILE"));
    });
  }
  const auto id = (*job)->id;
  what == serving::ModelControl::load ? void(resume_job(id)) : pause_job(id);
  when_durable([then] { then({}); });
}

void Head::stop_serving(const std::string& id) {
  parts_.router->remove_endpoint(id);
  for (const auto& [worker, replica] : jobs_.at(id).serving->replicas)
    send(replica, messages::StopWorker{worker});
}

void Head::on_load(const std::string& id, LoadSample sample) {
  const auto job = jobs_.find(id);
  const auto* record = ledger_.find(id);
  if (job == jobs_.end() || !job->second.serving || record == nullptr || in_grace_) return;
  if (is_end(record->state) || record->pause_requested) return;
  Serving& serving = *job->second.serving;
  const auto now = life().count();
  const auto target = record->replicas();
  sample.at_ms = now;
  // The router counts another way: one whose requests fail is not ready there, and one that has said hello is
  // some moments later. Both figures from one view, or what is ready and starting would be more than wanted.
  sample.ready = static_cast<std::uint32_t>(serving.known.ready.size());
  sample.starting = target - std::min(target, sample.ready);
  serving.load.add(sample);
  const auto decision = autoscale(to_options(*record), serving.load, now);
  if (decision.replicas == target) return;
  spdlog::info("job {}: {} instead of {} replicas: {}", id, decision.replicas, target, decision.reason);
  std::vector<Event> events{
      event("autoscaler", decision.reason, WorkersScaled{id, decision.replicas, decision.replicas})};
  std::vector<Lease> live;
  for (const auto& lease : ledger_.leases_of(id)) {
    if (!lease.releasing && record->lines.empty()) live.push_back(lease);
  }
  // Those that are not ready yet first, then the newest.
  std::ranges::sort(live, {}, [&](const Lease& lease) {
    return std::pair(serving.known.ready.contains(lease.worker), -static_cast<std::int64_t>(lease.worker));
  });
  for (std::size_t i = 0; i + decision.replicas < live.size(); ++i)
    events.push_back(event("autoscaler", decision.reason, LeaseReleasing{live[i].worker}));
  // One that nobody asks for a while may be told to sleep before its first replica is ready.
  const bool sleeps =
      decision.replicas == 0 && (record->state == JobState::running || record->state == JobState::starting);
  if (sleeps)
    events.push_back(event("autoscaler", decision.reason, JobStateChanged{id, JobState::running, kSleeps}));
  commit(std::move(events));
  parts_.router->set_wanted(id, decision.replicas);
  roll(id);
  tell_leases(id);
  schedule_soon();
}

void Head::find_checkpoint(const std::string& job, const ServedSource& source,
                           std::function<void(Head&, const Result<storage::CheckpointEntry>&)> then) {
  const auto self = caf::actor_cast<caf::actor>(this);
  const bool queued =
      parts_.checkpoint_thread->post([store = parts_.checkpoints, self, chosen = chosen_, job, source, then,
                                      goal = best_goal(*ledger_.find(job)->spec)] {
        const auto entries = store->list(job);
        Result<storage::CheckpointEntry> found;
        if (!entries) {
          found = tl::unexpected(entries.error());
        } else if (const auto step = choose_step(*entries, goal, source); !step) {
          found = tl::unexpected(step.error());
        } else {
          found = *std::ranges::find(*entries, *step, &storage::CheckpointEntry::step);
          chosen->hold(job, *step);
        }
        caf::anon_send(self, Run{[chosen, job, found, then](Head& head) {
                         then(head, found);
                         if (!found) return;
                         // Behind what this thread is still to do with what the ledger said before. One that
                         // can't be let go is kept until the next head.
                         head.parts_.checkpoint_thread->post(
                             [chosen, job, step = found->step] { chosen->release(job, step); });
                       }});
      });
  if (!queued) then(*this, fail(ErrorCode::unavailable, "the head is busy with checkpoints", "try again"));
}

void Head::choose_checkpoint(const Submission& submission, const gateway::Respond& respond) {
  const auto resolved = resolve_checkpoint_job(submission, ledger_);
  if (const auto* refused = std::get_if<gateway::HttpResponse>(&resolved)) return respond(*refused);
  const std::string source = std::get<std::string>(resolved);
  const auto then = [submission, source, respond](Head& head, const Result<storage::CheckpointEntry>& found) {
    if (!found && found.error().code != ErrorCode::not_found) return respond(error_response(found.error()));
    if (!found)
      return respond(refuse_field(submission, "model.source", found.error().message, found.error().hint));
    // The same request, or the name, may have come a second time meanwhile.
    if (head.answer_known(submission.key, respond)) return;
    if (const auto refused = check_endpoint(submission.spec.name, head.ledger_)) return respond(*refused);
    auto dependencies = resolve_dependencies(submission, head.ledger_);
    if (const auto* wrong = std::get_if<gateway::HttpResponse>(&dependencies)) return respond(*wrong);
    head.accept(submission, std::get<std::vector<std::string>>(std::move(dependencies)),
                {std::pair(source, found->step), {}, {}}, respond);
  };
  find_checkpoint(source, submission.spec.serve->source, then);
}

}  // namespace ds::head
