// Nodes and leases.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "actors/head/head_actor.hpp"
#include "scheduler/spec/identifier.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// A worker that something outside its job ended (a machine's operator, the kernel) says little about the
/// job, but a job that is killed for ever must not start for ever.
constexpr std::uint32_t kMaxOutsideKillsInARow = 20;
constexpr std::int64_t kBackoffMs = 5'000;
constexpr std::int64_t kMaxBackoffMs = 300'000;

std::string worker_text(std::uint64_t worker) {
  return fmt::format("worker {}", worker);
}

/// `4 slots and 2 GPUs at 10.0.0.1:4500`
std::string offer_text(const messages::NodeHello& hello) {
  const auto gpus = hello.gpus.size();
  return fmt::format("{} slot{}{} at {}", hello.slots, hello.slots == 1 ? "" : "s",
                     gpus == 0 ? "" : fmt::format(" and {} GPU{}", gpus, gpus == 1 ? "" : "s"),
                     hello.address);
}

}  // namespace

std::int64_t Head::backoff_ms(std::uint32_t crashes_in_a_row) {
  return std::min(kMaxBackoffMs, kBackoffMs << std::min(crashes_in_a_row - 1, 10U));
}

/// Whether a process that a node brings along is needed: also to leave by itself, with what it holds.
bool Head::may_stay(const messages::RunningWorker& running, const std::string& node) const {
  const auto found = ledger_.leases().find(running.worker);
  if (found == ledger_.leases().end() || found->second.node != node) return false;
  if (is_late(running.worker, running.generation)) return false;
  const Lease& lease = found->second;
  return !lease.releasing || (!lease.at_once && !is_end(ledger_.find(lease.job)->state));
}

/// A rank of a command that has ended with exit code 0, of a job that goes on: there is nothing of it to
/// lose.
bool Head::is_through(const Lease& lease) const {
  const auto* job = ledger_.find(lease.job);
  return !is_end(job->state) && std::ranges::find(job->finished, lease.worker) != job->finished.end();
}

void Head::on_node_hello(const messages::NodeHello& hello) {
  const auto agent = parts_.fabric->resolve(hello.agent);
  const auto known = nodes_.find(hello.name);
  if (!is_identifier(hello.name)) {
    return send(agent, messages::NodeRefused{"the node's name is not an identifier"});
  }
  if (known != nodes_.end() && known->second.process != hello.agent.process.id) {
    return send(agent, messages::NodeRefused{
                           fmt::format("a node named {} is registered already (pid {} at {})", hello.name,
                                       known->second.entry.pid, known->second.entry.address)});
  }
  auto& node = nodes_[hello.name];
  node.entry = {hello.name,         hello.address, "UP",        hello.pid,     hello.slots,
                hello.memory_bytes, hello.gpus,    hello.cores, hello.pretends};
  node.process = hello.agent.process.id;
  node.sign_of_life = hello.sign_of_life;
  node.leaves = false;
  away_.come_back(hello.name);
  if (!ledger_.joined().contains(hello.name))
    commit({event("node " + hello.name, offer_text(hello), NodeJoined{hello.name})});
  if (node.agent != agent) {
    if (node.agent) forget_agent(node.agent);
    monitor(agent);
    agents_[agent.address()] = hello.name;
    node.agent = agent;
    node.is_prepared = false;
  }
  node.strangers.clear();
  on_node_back(hello);

  std::vector<std::uint64_t> keep;
  std::vector<messages::RunningWorker> stay;
  std::set<std::uint64_t> running;
  for (const auto& worker : hello.running) {
    // A lease whose process was not started again yet has none.
    if (!is_late(worker.worker, worker.generation)) running.insert(worker.worker);
    if (may_stay(worker, hello.name) || errands_.contains(worker.worker)) {
      keep.push_back(worker.worker);
      stay.push_back(worker);
      pids_[worker.worker] = worker.pid;
    } else {
      node.strangers.insert(worker.worker);
    }
  }
  std::vector<std::uint64_t> gone;
  for (const auto& lease : ledger_.leases_on(hello.name)) {
    if (running.contains(lease.worker) || is_cut_off(lease.worker)) continue;
    const bool has_gpus =
        node.entry.has_devices(lease.devices, ledger_.find(lease.job)->spec->resources.gpu_kind);
    if (!has_gpus || !is_through(lease)) gone.push_back(lease.worker);
  }
  spdlog::info("node {} is up: {} slots, {} workers kept, {} gone", hello.name, hello.slots, keep.size(),
               gone.size());
  end_leases(gone, fmt::format("it was gone when node {} registered", hello.name));
  when_durable([this, agent, keep, sent_ns = hello.sent_ns] {
    if (!agents_.contains(agent.address())) return;
    if (parts_.node_term.count() > 0) renewable_->add(agent);
    send(agent, messages::NodeWelcome{keep, static_cast<std::uint32_t>(parts_.node_term.count()),
                                      parts_.fabric->address_of(renewer_), sent_ns});
  });
  if (!served_.empty()) prepare_nodes();
  for (const auto& worker : stay) on_command_started(worker.worker, worker.generation, 0);
  end_grace_if_all_are_back();
  on_node_changed(hello.name);
}

void Head::forget_agent(const caf::actor& agent) {
  agents_.erase(agent.address());
  renewable_->remove(agent);
}

void Head::on_node_leaving(const std::string& name) {
  const auto node = nodes_.find(name);
  if (node == nodes_.end() || node->second.agent != sender_node()) return;  // one that was refused ends, too
  spdlog::info("node {} is about to end", name);
  node->second.leaves = true;
  std::set<std::string> jobs;
  for (const auto& lease : ledger_.leases_on(name)) {
    if (is_command(lease.job) && !lease.releasing && !is_through(lease)) jobs.insert(lease.job);
  }
  for (const auto& job : jobs) release_workers(job, fmt::format("node {} ends", name), {});
  on_node_changed(name);
}

void Head::on_node_down(const std::string& name) {
  spdlog::warn("node {} is down", name);
  const Node node = nodes_.at(name);
  forget_agent(node.agent);
  nodes_.erase(name);
  if (!node.leaves) remember_away(name, node.entry);
  commit({node.leaves ? event("node " + name, "it was stopped", NodeLost{name, true})
                      : event("head", "it ended, or is not heard of", NodeLost{name})});
  on_node_lost(name, node, std::chrono::milliseconds(0));
  for (auto errand = errands_.begin(); errand != errands_.end();) {
    const auto id = errand->first;
    const bool here = errand->second.node == name;
    ++errand;
    if (here)
      fail_errand(id,
                  {ErrorCode::unavailable, fmt::format("node {} went down meanwhile", name), "try again"});
  }
  on_node_changed(name);
}

void Head::remember_away(const std::string& name, const NodeEntry& entry) {
  away_.lose(name, entry, life());
  delayed_send(this, AwayNodes::kStays, Run{[](Head& head) {
                 for (const auto& old : head.away_.forget_old(head.life())) head.on_node_changed(old);
               }});
}

/// Nodes without leases are not known and may need a moment longer: what is planned without them can't be
/// undone.
void Head::end_grace_if_all_are_back() {
  if (!in_grace_ || !is_settled_) return;
  const auto awaited = ledger_.leased_nodes();
  if (std::ranges::all_of(awaited, [this](const auto& name) { return nodes_.contains(name); }))
    on_grace_over();
}

void Head::on_grace_over() {
  if (!in_grace_) return;
  in_grace_ = false;
  for (const auto& name : ledger_.leased_nodes()) {
    if (nodes_.contains(name)) continue;
    on_node_lost(name, {}, life());
    on_node_changed(name);
  }
  std::vector<std::string> live;
  for (const auto& [id, job] : jobs_) live.push_back(id);
  for (const auto& id : live) look_at_gang(id);
  schedule_soon();
}

/// Those of a former head that this one has not heard of.
void Head::tell_missing_nodes() {
  std::vector<Event> events;
  for (const auto& [name, since_ms] : ledger_.joined()) {
    if (!nodes_.contains(name))
      events.push_back(event("head", "it has not come back to a head that was started anew", NodeLost{name}));
  }
  if (!events.empty()) commit(std::move(events));
}

void Head::end_leases(const std::vector<std::uint64_t>& workers, const std::string& why) {
  std::vector<Event> events;
  std::set<std::string> touched;
  for (const auto worker : workers) {
    const auto lease = ledger_.leases().find(worker);
    if (lease == ledger_.leases().end()) continue;
    touched.insert(lease->second.job);
    if (is_serve(lease->second.job)) forget_replica(lease->second, false);
    pids_.erase(worker);
    suspects_.erase(worker);
    events.push_back(event("head", why, LeaseEnded{worker}));
  }
  if (events.empty()) return;
  commit(std::move(events));
  for (const auto& job : touched) {
    tell_leases(job);
    look_at_gang(job);
  }
  schedule_soon();
}

bool Head::is_short(const std::string& id) const {
  const auto* record = ledger_.find(id);
  if (record == nullptr || is_end(record->state) || record->spec->serve) return false;
  return record->workers > 0 && record->workers < record->wanted().min;
}

void Head::look_at_gang(const std::string& id) {
  const auto job = jobs_.find(id);
  if (job == jobs_.end() || !is_short(id)) return;
  if (is_command(id)) {
    short_programs_.insert(id);
    return;
  }
  const std::chrono::milliseconds backs_off(ledger_.find(id)->retry_at_ms - now_ms());
  delayed_send(this, job->second.short_gang.on_short(life(), backs_off), Run{[id](Head& head) {
                 const auto live = head.jobs_.find(id);
                 const auto* record = head.ledger_.find(id);
                 if (live == head.jobs_.end() || record == nullptr) return;
                 const ShortGang::Now now{
                     .is_short = head.is_short(id),
                     .trains = record->state == JobState::running || head.has_enough_trained(*record),
                     .is_backing_off = record->retry_at_ms > head.now_ms(),
                     .may_come_back = head.in_grace_};
                 if (live->second.short_gang.gives_up(now, head.life())) head.give_up_gang(id);
               }});
}

void Head::give_up_gang(const std::string& id) {
  release_workers(id, "it has too few workers to go on, and there is no room for the others", {});
}

void Head::give_up_short_programs() {
  for (const std::string& id : std::exchange(short_programs_, {})) {
    const auto job = jobs_.find(id);
    const bool is_over = job == jobs_.end() || !job->second.command || !is_short(id);
    // Where only a rank that is through was lost, the others go on.
    if (is_over || job->second.command->is_running()) continue;
    const auto waits = planner_.explain(std::span(&id, 1), ledger_.past_use(now_ms()), now_ms());
    const bool room_is_coming = !waits.empty() && waits.front().room_is_coming;
    room_is_coming ? void(short_programs_.insert(id)) : give_up_gang(id);
  }
}

void Head::on_worker_started(const messages::WorkerStarted& started) {
  pids_[started.worker] = started.pid;
  on_command_started(started.worker, started.generation, started.port);
}

Head::Node* Head::find_node_of(std::uint64_t worker) {
  const auto lease = ledger_.leases().find(worker);
  // A node that has taken the name of one that is cut off knows nothing of what that runs.
  if (lease == ledger_.leases().end() || is_cut_off(worker)) return nullptr;
  const auto node = nodes_.find(lease->second.node);
  return node == nodes_.end() ? nullptr : &node->second;
}

/// Nothing in a worker ends it cleanly unasked: then it was a signal that it obeyed. One that said itself why
/// it must be ended is ended by us.
bool Head::is_outside(const messages::WorkerExited& exited) const {
  const auto suspect = suspects_.find(exited.worker);
  const bool at_fault = suspect != suspects_.end() && suspect->second.at_fault;
  return !at_fault && (exited.outside || exited.clean);
}

/// The job trains on without the worker, which has not joined its gang.
bool Head::is_dispensable(const Lease& lease) const {
  if (lease.role != Role::worker) return false;
  const auto suspect = suspects_.find(lease.worker);
  if (suspect != suspects_.end() && suspect->second.dispensable) return true;
  const auto job = jobs_.find(lease.job);
  if (job != jobs_.end() && job->second.serving) {
    // A trial is over after some crashes of the version's own; without its file none ever gets so far.
    const bool is_other_file = suspect != suspects_.end() && suspect->second.is_other_file;
    const bool serves = !job->second.serving->known.ready.empty();
    return serves || is_refused(lease) || (is_on_trial(lease) && !is_other_file);
  }
  if (job == jobs_.end() || job->second.trained.contains(lease.worker)) return false;
  return has_enough_trained(*ledger_.find(lease.job));
}

/// Those that are told to leave go on until others take over (`Gang::going_on`).
bool Head::has_enough_trained(const JobRecord& record) const {
  const auto job = jobs_.find(record.id);
  if (job == jobs_.end()) return false;
  const auto there = std::ranges::count_if(job->second.trained,
                                           [&](auto member) { return ledger_.leases().contains(member); });
  return static_cast<std::uint64_t>(there) >= std::max(record.wanted().min, 1U);
}

std::optional<Event> Head::crash_event(const Lease& lease, const messages::WorkerExited& exited) const {
  const auto* job = ledger_.find(lease.job);
  if (job == nullptr || is_end(job->state)) return std::nullopt;
  const bool is_early =
      now_ms() - lease.since_ms < std::chrono::milliseconds(kSoonAfterStart).count() && !is_outside(exited);
  const std::string early_on = is_early ? lease.node : "";
  // Whatever ended it, a data shard takes nothing along: workers read for themselves until another is there.
  if (lease.role == Role::shard) return std::nullopt;
  // A worker whose death the others noticed first is being released already, and has crashed all the same.
  if (lease.releasing && !suspects_.contains(lease.worker)) return std::nullopt;
  if (is_dispensable(lease)) {  // it is told of, and neither holds the job up nor ends it
    // Where nobody else is there the next would come at once, again and again.
    const auto live = jobs_.find(lease.job);
    const auto* serving = live != jobs_.end() && live->second.serving ? &*live->second.serving : nullptr;
    const bool serves = serving != nullptr && !serving->known.ready.empty();
    const bool has_served = serving != nullptr && serving->trial.was_ready(lease.version);
    const bool is_alone = is_on_trial(lease) && !serves && !has_served;
    const auto retry_at = is_alone ? now_ms() + backoff_ms(1) : job->retry_at_ms;
    return event(worker_text(lease.worker), end_text(exited),
                 WorkerCrashed{lease.job, lease.worker, job->crashes_in_a_row, retry_at, early_on});
  }
  // Workers that were there at the last crash count as the same one: one cause may end them all.
  const bool counts = job->crashes_in_a_row == 0 || lease.worker >= job->crash_bound;
  const auto in_a_row = job->crashes_in_a_row + (counts ? 1 : 0);
  const auto retry_at = is_outside(exited) ? 0 : now_ms() + backoff_ms(in_a_row);
  return event(worker_text(lease.worker), end_text(exited),
               WorkerCrashed{lease.job, lease.worker, in_a_row, retry_at, early_on});
}

void Head::on_worker_exited(const messages::WorkerExited& exited) {
  pids_.erase(exited.worker);
  const auto name = agents_.find(caf::actor_cast<caf::actor_addr>(current_sender()));
  if (name != agents_.end() && nodes_.at(name->second).strangers.erase(exited.worker) > 0)
    on_node_changed(name->second);
  if (errands_.contains(exited.worker)) {
    return fail_errand(exited.worker,
                       {ErrorCode::unavailable, "the export's process ended: " + exited.text, "try again"});
  }
  const auto found = ledger_.leases().find(exited.worker);
  if (found == ledger_.leases().end()) {
    take_exit(exited);
    return schedule_soon();
  }
  const auto lease = found->second;
  if (is_command(lease.job)) return on_command_exited(lease, exited);
  if (lease.role == Role::shard) on_shard_exited(lease, exited);
  const bool was_ready = is_serve(lease.job) && forget_replica(lease, !is_outside(exited));
  const bool is_spare = is_dispensable(lease);
  if (is_serve(lease.job)) on_version_crash(lease, exited, was_ready);
  if (is_spare && !is_refused(lease)) on_spare_exited(lease, exited, was_ready);
  std::vector<Event> events;
  const auto crash = crash_event(lease, exited);
  const auto limit =
      is_outside(exited) ? kMaxOutsideKillsInARow : ledger_.find(lease.job)->spec->restart_limit;
  const auto words = end_text(exited);
  suspects_.erase(exited.worker);
  if (crash) events.push_back(*crash);
  events.push_back(event("node " + lease.node, exited.text, LeaseEnded{lease.worker}));
  const auto in_a_row = crash && !is_spare ? std::get<WorkerCrashed>(crash->body).in_a_row : 0;
  if (in_a_row > limit) {
    end_job(lease.job, JobState::failed, worker_text(lease.worker),
            fmt::format("worker {} on node {} ended: {}, crash {} without a committed step in between; its "
                        "last words are in the job's log",
                        lease.worker, lease.node, words, in_a_row),
            std::move(events));
  } else {
    commit(std::move(events));
    tell_leases(lease.job);
    look_at_gang(lease.job);
  }
  schedule_soon();
}

void Head::on_shard_exited(const Lease& lease, const messages::WorkerExited& exited) {
  const auto found = jobs_.find(lease.job);
  if (found == jobs_.end()) return;
  Job& job = found->second;
  const bool was_ready = job.ready_shards.erase(lease.worker) == 1;
  const bool given_up = suspects_.contains(lease.worker);
  if (!was_ready && lease.releasing && !given_up) return;  // it was told to leave
  const auto wait_ms = job.shard_starts.on_ended(was_ready, is_outside(exited) && !given_up, now_ms());
  if (wait_ms == 0) return;
  delayed_send(this, std::chrono::milliseconds(wait_ms), Run{[](Head& head) { head.schedule_soon(); }});
}

/// What it said itself before it was ended, else how its process ended.
std::string Head::end_text(const messages::WorkerExited& exited) const {
  const auto suspect = suspects_.find(exited.worker);
  return suspect != suspects_.end() && suspect->second.at_fault ? suspect->second.why : exited.text;
}

void Head::on_spare_exited(const Lease& lease, const messages::WorkerExited& exited, bool was_ready) {
  const auto found = jobs_.find(lease.job);
  const bool was_told_to_leave = lease.releasing && !suspects_.contains(lease.worker);
  if (found == jobs_.end() || was_told_to_leave) return;
  Job& job = found->second;
  if (lease.worker < job.spare_bound) return;
  job.spare_bound = ledger_.next_worker();
  const auto wait_ms = job.spare_starts.on_ended(was_ready, is_outside(exited), now_ms());
  job.spare_trouble = fmt::format("worker {} on node {} {}: {}; another is tried {}", lease.worker,
                                  lease.node, was_ready ? "ended" : "could not join", end_text(exited),
                                  wait_ms == 0 ? "at once" : fmt::format("in {} s", wait_ms / 1000));
  const auto* record = ledger_.find(lease.job);
  if (record->state == JobState::running)
    set_state(lease.job, JobState::running, worker_text(lease.worker), running_text(*record));
  if (wait_ms == 0) return;
  delayed_send(this, std::chrono::milliseconds(wait_ms), Run{[](Head& head) { head.schedule_soon(); }});
}

/// Which process of the job a line of its log is from; nothing where there can be only one.
std::string Head::log_prefix(const std::string& id, std::uint64_t worker) const {
  const auto lease = ledger_.leases().find(worker);
  const auto* job = ledger_.find(id);
  if (job == nullptr || job->spec->kind != JobKind::command) {
    const auto role = lease == ledger_.leases().end() ? Role::worker : lease->second.role;
    return fmt::format("[{} {}] ", is_serve(id) ? "replica" : to_string(role), worker);
  }
  if (job->spec->workers.max == 1) return {};
  return fmt::format("[rank {}] ", std::ranges::find(job->members, worker) - job->members.begin());
}

void Head::on_log(const messages::LogLines& lines) {
  const auto prefix = log_prefix(lines.job, lines.worker);
  std::string text = prefix.empty() ? lines.text : std::string();  // to the byte
  for (std::size_t at = 0; at < lines.text.size() && !prefix.empty();) {
    auto end = lines.text.find('\n', at);
    if (end == std::string::npos) end = lines.text.size();
    text += prefix;
    text.append(lines.text, at, end - at);
    text += '\n';
    at = end + 1;
  }
  const auto node = caf::actor_cast<caf::actor>(current_sender());
  const auto worker = lines.worker;
  const bool queued =
      ledger_.find(lines.job) != nullptr &&
      parts_.log_thread->post([logs = parts_.logs, job = lines.job, text = std::move(text), node, worker] {
        if (const auto written = logs->append(job, text); !written) {
          spdlog::error("the log of job {} is not written: {}", job, written.error().message);
        }
        caf::anon_send(node, messages::LogTaken{worker});
      });
  if (!queued) send(node, messages::LogTaken{worker});
}

void Head::kill_worker(std::uint64_t worker, const std::string& why) {
  const auto lease = ledger_.leases().find(worker);
  if (lease == ledger_.leases().end()) return;
  const auto job = lease->second.job;
  commit({event("head", why, LeaseReleasing{worker, true})}, [this, worker, why] {
    if (const auto* node = find_node_of(worker)) send(node->agent, messages::KillWorker{worker, why});
  });
  tell_leases(job);
}

}  // namespace ds::head
