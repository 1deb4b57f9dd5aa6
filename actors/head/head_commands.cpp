// Jobs that run users' programs: their gangs are values in the head, and nodes start what they say.
#include <fmt/format.h>

#include <algorithm>

#include "actors/head/command_environment.hpp"
#include "actors/head/head_actor.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// Between SIGTERM and SIGKILL: time to save what is worth it.
constexpr std::uint32_t kStopGrace_ms = 10'000;

std::string gang_text(const std::string& job) {
  return "gang of " + job;
}

}  // namespace

bool Head::is_command(const std::string& id) const {
  const auto* record = ledger_.find(id);
  return record != nullptr && record->spec->kind == JobKind::command;
}

void Head::ensure_command(const std::string& id, bool recovering) {
  auto& job = jobs_[id];
  if (job.command) return;
  const auto* record = ledger_.find(id);
  job::CommandGang::Options options{record->generation, {}, {}, {}};
  if (recovering) {
    options.members = record->members;
    options.finished = record->finished;
  }
  for (const auto& lease : ledger_.leases_of(id)) {
    const auto& members = options.members;
    if (lease.releasing && std::ranges::find(members, lease.worker) == members.end())
      options.leaving.push_back(lease.worker);
  }
  job.command.emplace(std::move(options));
  tell_leases(id);
}

void Head::tell_command_leases(const std::string& id) {
  const auto job = jobs_.find(id);
  if (job == jobs_.end() || !job->second.command) return;
  std::vector<job::CommandLease> leases;
  for (const auto& lease : ledger_.leases_of(id)) {
    leases.push_back({lease.worker, lease.node, lease.releasing});
  }
  carry_out(id, job->second.command->set_leases(leases, ledger_.find(id)->wanted().min));
}

bool Head::is_late(std::uint64_t worker, std::uint64_t generation) const {
  const auto lease = ledger_.leases().find(worker);
  if (lease == ledger_.leases().end() || !is_command(lease->second.job)) return false;
  const auto* record = ledger_.find(lease->second.job);
  return generation < record->generation &&
         std::ranges::find(record->members, worker) != record->members.end();
}

void Head::on_command_started(std::uint64_t worker, std::uint64_t generation, std::uint16_t port) {
  const auto lease = ledger_.leases().find(worker);
  if (lease == ledger_.leases().end()) return;
  const std::string id = lease->second.job;
  const auto job = jobs_.find(id);
  if (job == jobs_.end() || !job->second.command) return;
  carry_out(id, job->second.command->on_started(worker, generation, port));
}

void Head::on_command_exited(const Lease& lease, const messages::WorkerExited& exited) {
  if (is_late(exited.worker, exited.generation)) return take_exit(exited);  // a former head has dealt with it
  if (is_cut_off(lease.worker)) return take_exit(exited);  // of a node that only has the same name
  // Its node was cut off, or that of another rank, which it has missed: no crash of its job's.
  if (exited.lost || (!exited.clean && is_partly_cut_off(lease.job))) {
    take_exit(exited);
    return end_leases({lease.worker}, exited.text);
  }
  const auto job = jobs_.find(lease.job);
  last_end_ = exited.text;
  is_last_outside_ = is_outside(exited);
  job::CommandActions actions;
  if (job != jobs_.end() && job->second.command)
    actions = job->second.command->on_exited(lease.worker, exited.generation, exited.clean);
  const bool says_something = std::ranges::any_of(actions, [](const auto& action) {
    return std::holds_alternative<job::RecordFinished>(action) ||
           std::holds_alternative<job::CommandCrashed>(action) ||
           std::holds_alternative<job::CommandDone>(action);
  });
  // Of one that was told to end nothing need be remembered, and its worker may be started again at once.
  if (!says_something) send(sender_node(), messages::ExitTaken{lease.worker, exited.generation});
  carry_out(lease.job, actions);
  // Of a job that has ended, or whose gang knows nothing of the process any more.
  const auto now = ledger_.leases().find(lease.worker);
  const bool is_over = now != ledger_.leases().end() && now->second.releasing;
  if (is_over) end_leases({lease.worker}, exited.text);
  if (says_something) take_exit(exited);
  schedule_soon();
}

caf::actor Head::sender_node() {
  return caf::actor_cast<caf::actor>(current_sender());
}

/// The node keeps the news until a crash of the head can't lose it any more.
void Head::take_exit(const messages::WorkerExited& exited) {
  when_durable([this, node = sender_node(), taken = messages::ExitTaken{exited.worker, exited.generation}] {
    send(node, taken);
  });
}

/// The job has ended: what runs of it gets its time to end, and the rest of its slots are free.
void Head::stop_command(const std::string& id) {
  const auto& gang = *jobs_.at(id).command;
  const auto alive = gang.alive();
  std::vector<std::uint64_t> idle;
  for (const auto& lease : ledger_.leases_of(id)) {
    if (std::ranges::find(alive, lease.worker) != alive.end()) {
      act(id, job::StopProcess{lease.worker, gang.generation(), "its job ended"});
    } else {
      idle.push_back(lease.worker);
    }
  }
  end_leases(idle, "its job ended");
}

bool Head::is_growth_untimely(const std::string& id) const {
  const Job& job = jobs_.at(id);
  if (!job.command) return false;
  const auto* record = ledger_.find(id);
  if (record->workers == 0 || record->wanted().min == record->wanted().max) return false;
  return !job.command->is_running() || job.command->has_finished_members();
}

void Head::carry_out(const std::string& id, const job::CommandActions& actions) {
  std::vector<std::uint64_t> idle;  // ended together: each end tells the gang of its leases again
  for (const auto& action : actions) {
    if (const auto* free = std::get_if<job::FreeLease>(&action)) idle.push_back(free->worker);
    std::visit([&](const auto& one) { act(id, one); }, action);
  }
  end_leases(idle, "nothing runs in it");
}

void Head::act(const std::string& id, const job::RecordCommand& action) {
  commit({event(gang_text(id), "its workers have room",
                GenerationFormed{id, action.generation, action.members, 0, {}})},
         [this, id, generation = action.generation] {
           const auto job = jobs_.find(id);
           if (job == jobs_.end() || !job->second.command) return;
           carry_out(id, job->second.command->on_recorded(generation));
         });
}

void Head::act(const std::string& id, const job::StartProcess& action) {
  const auto* node = find_node_of(action.worker);
  const auto master = nodes_.find(action.master);
  if (node == nullptr || master == nodes_.end()) return;  // one is down: that changes the gang
  const auto* record = ledger_.find(id);
  const auto& command = *record->spec->command;
  send(node->agent,
       messages::StartCommand{action.worker, action.generation, id, record->directory, to_arguments(command),
                              environment_of(command, action, id, master->second.entry.address,
                                             ledger_.leases().at(action.worker).devices),
                              record->spec->workers.max > 1, action.port == 0});
}

void Head::act(const std::string& id, const job::StopProcess& action) {
  when_durable([this, id, action] {
    // It may have ended by itself meanwhile, and what runs there next must not be stopped for it.
    const auto job = jobs_.find(id);
    const bool is_of_gang = job != jobs_.end() && job->second.command;
    const bool is_this_start = is_of_gang && job->second.command->is_alive(action.worker) &&
                               job->second.command->generation() == action.generation;
    if (is_of_gang && !is_this_start) return;
    const auto* node = find_node_of(action.worker);
    if (node == nullptr) return;
    send(node->agent, messages::StopCommand{action.worker, action.generation, kStopGrace_ms, action.why});
  });
}

void Head::act(const std::string& id, const job::ShowRunning& action) {
  set_state(id, JobState::running, gang_text(id),
            fmt::format("runs with {} worker{}", action.workers, action.workers == 1 ? "" : "s"));
}

void Head::act(const std::string& id, const job::ShowRestart& action) {
  const auto* record = ledger_.find(id);
  if (has_no_gang(record->state) || record->time_is_up) return;  // it leaves for good
  set_state(id, JobState::resizing, gang_text(id), action.why + "; its program starts again");
}

void Head::act(const std::string& id, const job::RecordFinished& action) {
  commit({event(gang_text(id), "exit code 0", RankFinished{id, action.worker})});
}

void Head::act(const std::string& id, const job::CommandCrashed& action) {
  const auto* record = ledger_.find(id);
  const auto now = now_ms();
  const auto crash = count_crash(record->crashes_in_a_row, now - record->gang_since_ms);
  const auto wait_ms = backoff_ms(crash.in_a_row);
  const auto lease = ledger_.leases().at(action.worker);
  const auto words = fmt::format("rank {} on node {} ended: {}", action.rank, lease.node, last_end_);
  const auto by = fmt::format("worker {}", action.worker);
  const bool is_early =
      !is_last_outside_ && now - lease.since_ms < std::chrono::milliseconds(kSoonAfterStart).count();
  std::vector<Event> events{
      event(by, last_end_,
            WorkerCrashed{id, action.worker, crash.count, now + wait_ms, is_early ? lease.node : ""}),
      event("node " + lease.node, last_end_, LeaseEnded{action.worker})};
  pids_.erase(action.worker);
  if (crash.count > record->spec->restart_limit) {
    const auto crashes =
        crash.count == 1 ? ""
                         : fmt::format(", crash {} (restart: {})", crash.count, record->spec->restart_limit);
    return end_job(id, JobState::failed, by, words + crashes + "; its last words are in the job's log",
                   std::move(events));
  }
  for (const auto& other : ledger_.leases_of(id)) {
    if (other.worker == action.worker || other.releasing) continue;
    events.push_back(event(gang_text(id), "another rank has crashed", LeaseReleasing{other.worker}));
  }
  const auto again = fmt::format("{}; it starts again in {} s", words, wait_ms / 1000);
  if (!has_no_gang(record->state))
    events.push_back(event(by, again, JobStateChanged{id, JobState::resizing, again}));
  spdlog::info("job {}: {}", id, again);
  commit(std::move(events));
  tell_leases(id);
}

void Head::act(const std::string& id, const job::CommandDone& action) {
  std::vector<Event> events;
  const auto* record = ledger_.find(id);
  const bool has_crashed_early = !ledger_.crashed_early_on(*record).empty();
  for (const auto& lease : ledger_.leases_of(id)) {
    // Where a program ran well that crashed elsewhere; of others nobody need know.
    const auto is_in = [&](const auto& workers) {
      return std::ranges::find(workers, lease.worker) != workers.end();
    };
    if (has_crashed_early && is_in(record->members) && !is_in(record->finished))
      events.push_back(event("node " + lease.node, "exit code 0", RankFinished{id, lease.worker}));
    events.push_back(event("node " + lease.node, "exit code 0", LeaseEnded{lease.worker}));
    pids_.erase(lease.worker);
  }
  const std::string why =
      action.workers == 1 ? "exit code 0" : fmt::format("all {} ranks: exit code 0", action.workers);
  events.push_back(event(gang_text(id), why, JobStateChanged{id, JobState::succeeded, why}));
  commit(std::move(events), [this, id] {
    if (is_end(ledger_.find(id)->state)) jobs_.erase(id);  // else it was retried meanwhile
  });
}

}  // namespace ds::head
