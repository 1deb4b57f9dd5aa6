// Jobs, their masters and their checkpoints.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "actors/head/head_actor.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// How long a worker of an ended job may take to leave by itself.
constexpr auto kLeaveLimit = std::chrono::seconds(5);

using Entries = std::vector<storage::CheckpointEntry>;

std::string master_text(const std::string& job) {
  return "job master of " + job;
}

}  // namespace

void Head::on_worker_hello(const messages::WorkerHello& hello) {
  const auto worker = parts_.fabric->resolve(hello.actor);
  if (const auto errand = errands_.find(hello.worker); errand != errands_.end()) {
    return send(worker, messages::ExportOrder{errand->second.format, errand->second.state});
  }
  const auto lease = ledger_.leases().find(hello.worker);
  const auto job = lease == ledger_.leases().end() ? jobs_.end() : jobs_.find(lease->second.job);
  if (job == jobs_.end() || !job->second.master) return send(worker, messages::StopWorker{hello.worker});
  job->second.live.step = std::max(job->second.live.step, hello.step);
  const bool is_ready = static_cast<job::WorkerPhase>(hello.phase) != job::WorkerPhase::fresh;
  if (lease->second.role == Role::shard && is_ready) job->second.ready_shards.insert(hello.worker);
  send(job->second.master, hello);
}

void Head::ensure_master(const std::string& id, bool recovering) {
  if (is_command(id)) return ensure_command(id, recovering);
  if (is_serve(id)) return ensure_serving(id);
  auto& job = jobs_[id];
  if (job.master) return;
  const auto* record = ledger_.find(id);
  job::MasterOptions options;
  options.job = id;
  options.file = record->file;
  options.directory = record->directory;
  options.text = *record->text;
  options.gang.logical_ranks = record->spec->logical_ranks();
  options.gang.min_workers = record->wanted().min;
  if (record->spec->count_of(Role::server) > 0) {
    const auto& strategy = record->spec->strategy;
    options.gang.servers =
        job::ServerRules{strategy.servers, strategy.replicas + 1, strategy.consistency == "sync"};
  }
  options.gang.generation = record->generation;
  options.gang.members = record->members;
  options.gang.server_members = record->servers;
  options.gang.recovering = recovering;
  options.max_state_bytes = parts_.max_state_bytes;
  options.checkpoint_step = record->checkpoint_step;
  options.checkpoints = {parts_.fabric->self(), fabric::kHeadActor};
  const auto self = caf::actor_cast<caf::actor>(this);
  const auto number = job.master_number = ++masters_;
  options.tell_head = [self, id, number](job::MasterNote note) {
    caf::anon_send(self,
                   Run{[id, number, note = std::move(note)](Head& head) { head.on_note(id, number, note); }});
  };
  options.save = [self, id](messages::SaveCheckpoint checkpoint,
                            std::function<void(std::string)> when_saved) {
    caf::anon_send(self, Run{[id, checkpoint = std::move(checkpoint), when_saved = std::move(when_saved)](
                                 Head& head) { head.save_checkpoint(id, checkpoint, when_saved); }});
  };
  job.master = job::spawn_master(system(), *parts_.fabric, std::move(options));
  link_to(job.master);  // it must not outlive its head
  tell_leases(id);
}

void Head::tell_leases(const std::string& id) {
  const auto* record = ledger_.find(id);
  if (record == nullptr || is_end(record->state)) return;
  std::vector<job::GangLease> leases;
  for (const auto& lease : ledger_.leases_of(id))
    leases.push_back({lease.worker, lease.releasing, lease.role});
  const bool has_workers =
      std::ranges::any_of(leases, [](const job::GangLease& lease) { return lease.role == Role::worker; });
  if (!has_workers && record->time_is_up) {
    return end_job(id, JobState::failed, "scheduler",
                   fmt::format("time limit: it has run for {} s, as long as its time_limit allows",
                               record->spec->time_limit_ms / 1000));
  }
  const bool sleeps = is_serve(id) && record->replicas() == 0;  // requests wake it
  if (!has_workers && !has_no_gang(record->state) && !sleeps) {
    const bool has_crashed = record->retry_at_ms > now_ms() && is_command(id);
    set_state(id, JobState::queued, "head",
              has_crashed ? record->reason : "it lost its workers and waits for room");
  }
  if (is_command(id)) return tell_command_leases(id);
  if (is_serve(id)) return tell_replicas(id);
  // Workers obey the master at once; what it bases orders on must not be taken back by a crash of the head.
  const bool goes_on = !has_no_gang(record->state) && !record->pause_requested && !record->cancel_requested &&
                       !record->time_is_up;
  when_durable([this, id, changed = job::LeasesChanged{leases, record->wanted().min, goes_on}] {
    const auto job = jobs_.find(id);
    if (job != jobs_.end() && job->second.master) send(job->second.master, changed);
  });
}

void Head::on_note(const std::string& id, std::uint64_t master, const job::MasterNote& one) {
  const auto* record = ledger_.find(id);
  if (record == nullptr || is_end(record->state)) return;  // what a master says after its job's end is late
  const auto job = jobs_.find(id);
  if (job == jobs_.end() || job->second.master_number != master) return;  // also when it was retried since
  std::visit([&](const auto& body) { note(id, body); }, one);
}

void Head::note(const std::string& id, const job::RecordGeneration& record) {
  if (record.generation <= ledger_.find(id)->generation) return;
  commit({event(master_text(id), "the gang changed",
                GenerationFormed{id, record.generation, record.members, record.step, record.servers})},
         [this, id, generation = record.generation] {
           const auto job = jobs_.find(id);
           if (job != jobs_.end()) send(job->second.master, job::GenerationDurable{generation});
         });
}

void Head::note(const std::string& id, const job::ShowPhase& phase) {
  const auto* record = ledger_.find(id);
  if (record->time_is_up) return;  // its workers leave, whatever they were about to do
  if (phase.value == job::ShowPhase::training) {
    note_members(jobs_[id], record->members);
    begin_measuring(*record);
    return set_state(id, JobState::running, master_text(id), running_text(*record));
  }
  auto& standing_since = jobs_[id].standing_since;
  if (record->state == JobState::running) {
    standing_since = clock().now();
  } else if (record->state != JobState::resizing) {
    standing_since.reset();  // it had no workers in between
  }
  if (has_no_gang(record->state)) return;
  set_state(id, phase.value == job::ShowPhase::starting ? JobState::starting : JobState::resizing,
            master_text(id), phase.why);
}

/// That a worker more could join shows that the next can.
void Head::note_members(Job& job, const std::vector<std::uint64_t>& members) {
  const bool has_grown = !std::ranges::all_of(members, [&](auto one) { return job.trained.contains(one); });
  job.trained = {members.begin(), members.end()};
  if (!has_grown) return;
  job.spare_starts = {};
  job.spare_trouble.clear();
}

std::string Head::running_text(const scheduler::JobRecord& record) const {
  if (record.spec->serve) return serving_text(record);
  const auto workers = record.members.size();
  auto text = fmt::format("trains with {} worker{}", workers, workers == 1 ? "" : "s");
  const auto job = jobs_.find(record.id);
  if (job == jobs_.end()) return text;
  if (job->second.size_noted == workers) text += "; " + job->second.size_note;
  if (!job->second.spare_trouble.empty()) text += "; " + job->second.spare_trouble;
  return text;
}

void Head::begin_measuring(const JobRecord& record) {
  Job& job = jobs_[record.id];
  std::set<std::string> nodes;
  for (const auto worker : record.members) {
    const auto lease = ledger_.leases().find(worker);
    if (lease != ledger_.leases().end()) nodes.insert(lease->second.node);
  }
  const auto workers = static_cast<std::uint32_t>(record.members.size());
  const auto* known = record.size_measured(workers);
  job.step_times.begin(workers, std::max(1U, static_cast<std::uint32_t>(nodes.size())),
                       known == nullptr ? std::nullopt : std::optional(*known));
  const auto since = std::exchange(job.standing_since, std::nullopt);
  const bool was_resized = since && record.state == JobState::resizing;
  job.resize_s = was_resized ? std::chrono::duration<double>(clock().now() - *since).count() : 0;
}

/// Notes that its steps take more or fewer samples now.
void Head::follow_batch(const std::string& id, const messages::StepReport& report) {
  const auto* record = ledger_.find(id);
  const auto& batch = record->spec->batch;
  const std::uint64_t before = record->batch == 0 ? batch.global : record->batch;
  if (report.batch == 0 || report.batch == before) return;
  const std::string noise = report.noise_scale > 0 ? fmt::format(", the noise scale is {:.0f} samples",
                                                                 static_cast<double>(report.noise_scale))
                                                   : "";
  commit({event(fmt::format("worker {}", report.worker),
                fmt::format("from {} to {} samples a step{}", before, report.batch, noise),
                BatchChanged{id, report.step, report.batch})});
  schedule_soon();
}

void Head::measure_speed(const std::string& id, const messages::StepReport& report) {
  const auto& batch = ledger_.find(id)->spec->batch;
  const auto batches = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(report.batch / batch.global));
  double step_s = 0, once_s = 0;  // whatever the number of batches, a step sums and updates once
  for (const auto& [phase, seconds] : report.phase_seconds) {
    step_s += seconds;
    if (phase == "reduce" || (phase == "optimizer" && batch.most_batches() > 1)) once_s += seconds;
  }
  Job& job = jobs_[id];
  const auto settled =
      job.step_times.add({report.step, step_s, step_s - once_s, report.step_batches, batches});
  if (!settled) return;
  commit({event(fmt::format("worker {}", report.worker), "its steps have settled",
                SpeedMeasured{id, settled->workers, settled->nodes, settled->step_s, settled->compute_s,
                              std::exchange(job.resize_s, 0), settled->batches})});
  schedule_soon();
}

void Head::note(const std::string&, const job::KillWorker& kill) {
  const auto lease = ledger_.leases().find(kill.worker);
  if (lease != ledger_.leases().end() && !lease->second.releasing)
    suspects_.insert_or_assign(kill.worker, Suspect{kill.why, kill.at_fault, kill.dispensable, false});
  kill_worker(kill.worker, kill.why);
}

void Head::note(const std::string& id, const job::FinishJob& finish) {
  const auto* record = ledger_.find(id);
  const bool early = record != nullptr && finish.step < record->total_steps;
  end_job(id, JobState::succeeded, master_text(id),
          early ? fmt::format("ended at step {} of {}: an evaluation met early_stop or until.metric",
                              finish.step, record->total_steps)
                : fmt::format("all {} steps are done", finish.step));
}

void Head::note(const std::string& id, const job::JobSizeKnown& size) {
  const auto* record = ledger_.find(id);
  if (record->total_steps == size.total_steps && record->steps_per_epoch == size.steps_per_epoch) return;
  commit({event(master_text(id), "a worker read the data",
                JobSized{id, size.total_steps, size.steps_per_epoch})});
}

void Head::note(const std::string& id, const job::JobImpossible& impossible) {
  const auto by = impossible.worker == 0 ? master_text(id) : fmt::format("worker {}", impossible.worker);
  end_job(id, JobState::failed, by, impossible.why);
}

void Head::note(const std::string& id, const messages::StepReport& report) {
  auto& live = jobs_[id].live;
  live.step = report.step;
  live.loss = report.loss;
  live.has_loss = true;
  live.samples_per_second = report.samples_per_second;
  live.skipped_steps = report.skipped_steps;
  live.bad_records = report.bad_records;
  live.noise_scale = report.noise_scale;
  live.phase_seconds.clear();
  for (const auto& [phase, seconds] : report.phase_seconds) live.phase_seconds[phase] = seconds;
  follow_batch(id, report);
  measure_speed(id, report);
}

void Head::note(const std::string& id, const messages::EvaluationReport& report) {
  if (!std::isfinite(report.loss)) {
    return end_job(id, JobState::failed, fmt::format("worker {}", report.worker),
                   fmt::format("training diverged: the validation loss at step {} is not a finite number; a "
                               "smaller optimizer.lr may help",
                               report.step));
  }
  std::map<std::string, double> metrics;
  for (const auto& [name, value] : report.metrics) {
    if (std::isfinite(value)) metrics[name] = value;
  }
  commit({event(fmt::format("worker {}", report.worker), "evaluated",
                EvaluationRecorded{id, report.step, report.loss, metrics, report.majority_accuracy})});
}

void Head::set_state(const std::string& id, JobState state, const std::string& by, const std::string& why) {
  commit({event(by, why, JobStateChanged{id, state, why})});
}

void Head::end_job(const std::string& id, JobState state, const std::string& by, const std::string& why,
                   std::vector<Event> first) {
  const auto* record = ledger_.find(id);
  if (record == nullptr || !is_legal(record->state, state)) return commit(std::move(first));
  auto events = std::move(first);
  events.push_back(event(by, why, JobStateChanged{id, state, why}));
  std::vector<std::uint64_t> leaving;
  for (const auto& lease : ledger_.leases_of(id)) {
    leaving.push_back(lease.worker);
    if (!lease.releasing) events.push_back(event("head", "its job ended", LeaseReleasing{lease.worker}));
  }
  spdlog::info("job {}: {}: {}", id, to_string(state), why);
  commit(std::move(events), [this, id] {
    const auto job = jobs_.find(id);
    if (job == jobs_.end()) return;
    if (job->second.master) send(job->second.master, job::EndJob{});
    if (job->second.command) stop_command(id);
    if (job->second.serving) stop_serving(id);
    jobs_.erase(job);
  });
  schedule_soon();
  if (is_command(id)) return;  // its nodes see to it that it ends
  const auto drain = std::chrono::milliseconds(is_serve(id) ? record->spec->serve->drain_ms : 0);
  delayed_send(this, kLeaveLimit + drain, Run{[leaving](Head& head) {
                 for (const auto worker : leaving) {
                   const auto* node = head.find_node_of(worker);
                   if (node != nullptr) head.send(node->agent, messages::KillWorker{worker, "its job ended"});
                 }
               }});
}

void Head::release_workers(const std::string& id, const std::string& why, std::vector<Event> first) {
  auto events = std::move(first);
  for (const auto& lease : ledger_.leases_of(id)) {
    if (lease.role == Role::worker && !lease.releasing)
      events.push_back(event("head", why, LeaseReleasing{lease.worker}));
  }
  commit(std::move(events));
  tell_leases(id);
  schedule_soon();
}

void Head::save_checkpoint(const std::string& id, messages::SaveCheckpoint checkpoint,
                           std::function<void(std::string)> when_saved) {
  const auto* record = ledger_.find(id);
  if (record == nullptr || is_end(record->state)) return when_saved("the job has ended");
  const scheduler::Goal goal = scheduler::best_goal(*record->spec);
  const storage::Retention retention{record->spec->checkpoint.keep_last, record->spec->checkpoint.keep_best,
                                     goal.metric, goal.larger, ledger_.needed_steps(id)};
  const auto self = caf::actor_cast<caf::actor>(this);
  const auto work = [store = parts_.checkpoints, self, id, checkpoint = std::move(checkpoint), retention,
                     when_saved, time_ms = now_ms(), chosen = chosen_] {
    const auto& state = checkpoint.state;
    // What a gang saves before it leaves has no metrics, and must not take those of the same step away.
    const auto kept = checkpoint.metrics.empty() ? store->list(id) : Result<Entries>{};
    const bool is_known = kept && std::ranges::any_of(*kept, [&](const storage::CheckpointEntry& entry) {
                            return entry.step == state.step && !entry.metrics.empty();
                          });
    if (is_known) return when_saved({});
    storage::CheckpointEntry entry{state.step, 0, time_ms, {}};
    for (const auto& [name, value] : checkpoint.metrics) entry.metrics[name] = value;
    std::vector<storage::NamedBytes> tensors;
    for (std::size_t i = 0; i < state.names.size() && i < state.tensors.size(); ++i) {
      tensors.push_back({state.names[i], state.tensors[i].bytes()});
      entry.bytes += state.tensors[i].size();
    }
    if (const auto saved = store->save(id, entry, state.description, tensors); !saved) {
      spdlog::error("job {}: the checkpoint of step {} is not saved: {}", id, state.step,
                    saved.error().message);
      return when_saved(saved.error().message);
    }
    auto kept_now = retention;  // and what was chosen since, of which the ledger knows nothing yet
    for (const auto step : chosen->of(id)) kept_now.pinned.push_back(step);
    if (const auto pruned = store->prune(id, kept_now); !pruned) {
      spdlog::warn("job {}: old checkpoints are not removed: {}", id, pruned.error().message);
    }
    caf::anon_send(self, Run{[id, step = state.step, bytes = entry.bytes, when_saved](Head& head) {
                     head.counters_.checkpoint_bytes += bytes;
                     head.commit({head.event(master_text(id), "saved", CheckpointCommitted{id, step})},
                                 [when_saved] { when_saved({}); });
                   }});
  };
  if (!parts_.checkpoint_thread->post(work)) when_saved("too many checkpoints wait to be written");
}

caf::response_promise Head::on_fetch(const messages::FetchState& request) {
  auto promise = make_response_promise();
  const auto self = caf::actor_cast<caf::actor>(this);
  const auto deliver = [self, promise](messages::StateReply reply) {
    caf::anon_send(self, Run{[promise, reply = std::move(reply)](Head&) mutable { promise.deliver(reply); }});
  };
  const auto work = [store = parts_.checkpoints, self, request, deliver] {
    auto checkpoint = store->load(request.job, request.step);
    if (checkpoint) return deliver(to_state(std::move(*checkpoint)));
    std::vector<Error> skipped;
    const auto newest = store->load_newest(request.job, &skipped);
    const auto step = newest && *newest ? (*newest)->entry.step : 0;
    spdlog::error("job {}: the checkpoint of step {} cannot be read ({}); the newest whole one is of step {}",
                  request.job, request.step, checkpoint.error().message, step);
    caf::anon_send(self, Run{[job = request.job, asked = request.step, step](Head& head) {
                     const auto found = head.jobs_.find(job);
                     // Of an old one that is served it is none of the training job's business.
                     const auto* record = head.ledger_.find(job);
                     const bool is_its_newest = record != nullptr && record->checkpoint_step == asked;
                     if (found != head.jobs_.end() && found->second.master && is_its_newest) {
                       head.send(found->second.master, job::CheckpointDamaged{step});
                     }
                   }});
    deliver({0, {}, {}, {}, checkpoint.error().message});
  };
  if (!parts_.checkpoint_thread->post(work))
    promise.deliver(messages::StateReply{0, {}, {}, {}, "the head is busy"});
  return promise;
}

messages::StateReply to_state(storage::Checkpoint checkpoint) {
  messages::StateReply reply{checkpoint.entry.step, std::move(checkpoint.description), {}, {}, {}};
  for (auto& [name, bytes] : checkpoint.tensors) {
    reply.names.push_back(name);
    const auto block = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    reply.tensors.emplace_back(block, std::span(*block));
  }
  return reply;
}

}  // namespace ds::head
