// The node's actor: what runs on it.
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/node/agent_actor.hpp"
#include "actors/node/free_port.hpp"

namespace ds::node {

using namespace messages;

namespace {

WorkerExited describe_exit(std::uint64_t worker, int status) {
  WorkerExited exited{worker, {}, false, false};
  if (WIFEXITED(status)) {
    exited.clean = WEXITSTATUS(status) == 0;
    exited.text = fmt::format("exit code {}", WEXITSTATUS(status));
  } else if (WIFSIGNALED(status)) {
    const int signal_number = WTERMSIG(status);
    exited.outside = signal_number == SIGKILL || signal_number == SIGTERM;
    const char* description = sigdescr_np(signal_number);
    exited.text = fmt::format("killed by signal {} ({})", signal_number,
                              description == nullptr ? "real-time" : description);
  }
  return exited;
}

/// What `ds-actor --devices` takes.
std::string devices_of(const StartWorker& order, const Machine& machine) {
  auto visible = visible_to_programs(machine, fmt::format("{}", fmt::join(order.devices, ",")));
  return visible.empty() ? "none" : visible;
}

}  // namespace

void Agent::start_worker(const StartWorker& order) {
  if (leaving_ || workers_.contains(order.worker)) return;
  auto& running = workers_[order.worker];
  running.job = order.job;
  const std::vector<std::string> arguments{options_.actor_program,
                                           "--head",
                                           options_.head,
                                           "--secret-file",
                                           options_.secret_file,
                                           "--worker",
                                           std::to_string(order.worker),
                                           "--job",
                                           order.job,
                                           "--role",
                                           order.role,
                                           "--listen",
                                           options_.host,
                                           "--devices",
                                           devices_of(order, options_.machine)};
  if (const auto spawned = launcher_.spawn(order.worker, arguments); !spawned) {
    spdlog::error("worker {} of job {} cannot be started: {}", order.worker, order.job,
                  spawned.error().message);
    report({order.worker, spawned.error().message, false, false});
    workers_.erase(order.worker);
  }
}

void Agent::start_command(const StartCommand& order) {
  if (leaving_) return;  // the head will see this node go
  // An order that has waited here while this machine stood still: it may have been given to others since.
  if (is_term_over()) {
    return report({order.worker, "its node was cut off from the head", false, true, order.generation, true});
  }
  if (const auto former = workers_.find(order.worker); former != workers_.end()) {
    if (former->second.generation >= order.generation) return;
    // No head starts a worker again before it has heard of the end of the last start.
    if (!former->second.exited)
      return report({order.worker, "its last start has not ended", false, true, order.generation});
    workers_.erase(former);
  }
  spdlog::debug("node {} starts worker {} of job {}", options_.name, order.worker, order.job);
  auto& running = workers_[order.worker];
  running.job = order.job;
  running.is_command = true;
  running.generation = order.generation;
  running.log = LogBuffer(order.whole_lines);
  auto variables = order.variables;
  for (auto& variable : variables) {
    constexpr std::string_view kVisible = "CUDA_VISIBLE_DEVICES=";
    if (variable.starts_with(kVisible))
      variable.replace(kVisible.size(), std::string::npos,
                       visible_to_programs(options_.machine, variable.substr(kVisible.size())));
  }
  if (order.chooses_port) {
    const auto port = choose_port();
    if (!port) return fail_start(order, running, port.error());
    running.port = *port;
    variables.push_back(fmt::format("MASTER_PORT={}", *port));
  }
  const auto spawned = launcher_.spawn_command(order.worker, order.arguments, order.directory, variables);
  if (!spawned) fail_start(order, running, spawned.error());
}

void Agent::fail_start(const StartCommand& order, Running& running, const Error& why) {
  spdlog::error("worker {} of job {} cannot be started: {}; {}", order.worker, order.job, why.message,
                why.hint);
  running.exited = true;
  running.end = WorkerExited{order.worker, why.message, false, false, order.generation};
  report_command(running);
}

/// Not one that this node has given to another gang.
Result<std::uint16_t> Agent::choose_port() const {
  std::set<std::uint16_t> given;
  for (const auto& [worker, running] : workers_) given.insert(running.port);
  return choose_free_port(given);
}

void Agent::stop_command(const StopCommand& order) {
  const auto found = workers_.find(order.worker);
  if (found == workers_.end() || found->second.generation < order.generation)
    return report({order.worker, "was not running", false, true, order.generation});
  if (found->second.generation > order.generation) return;
  if (found->second.exited) return;  // the head will hear of it, or hear again
  spdlog::info("ends worker {} of job {}: {}", order.worker, found->second.job, order.why);
  launcher_.terminate(order.worker);
  delayed_send(this, std::chrono::milliseconds(order.grace_ms), GraceOver{order.worker, order.generation});
}

void Agent::on_grace_over(const GraceOver& over) {
  const auto found = workers_.find(over.worker);
  if (found == workers_.end() || found->second.generation != over.generation || found->second.exited) return;
  spdlog::warn("worker {} of job {} did not end in time: it is killed", over.worker, found->second.job);
  launcher_.kill(over.worker);
}

void Agent::end_commands(const EndCommands& order) {
  leaving_ = order.done;
  // First, so that what other ranks do when they miss these is no crash.
  if (registered_) send(head_, NodeLeaving{options_.name});
  for (auto& [worker, running] : workers_) {
    if (!running.is_command || running.exited) continue;
    spdlog::info("ends worker {} of job {}: this node ends", worker, running.job);
    launcher_.terminate(worker);
  }
  leave_if_all_have_ended();
}

void Agent::leave_if_all_have_ended() {
  const bool all = std::ranges::all_of(workers_, [this](const auto& one) {
    const Running& running = one.second;
    return !running.is_command || (running.exited && (!registered_ || running.log.is_drained()));
  });
  if (!leaving_ || !all) return;
  leaving_->set_value();
  leaving_ = std::make_shared<std::promise<void>>();  // nobody waits any more
}

void Agent::on_exit_taken(const ExitTaken& taken) {
  const auto found = workers_.find(taken.worker);
  if (found == workers_.end() || found->second.generation != taken.generation) return;
  if (found->second.exited && found->second.is_command) workers_.erase(found);
}

void Agent::kill_worker(const messages::KillWorker& order) {
  const auto found = workers_.find(order.worker);
  if (found == workers_.end() || found->second.exited) {
    report({order.worker, "was not running", true, true});
    return;
  }
  spdlog::info("ends worker {} of job {}: {}", order.worker, found->second.job, order.why);
  launcher_.kill(order.worker);
}

void Agent::on_process(const ProcessStarted& started) {
  const auto found = workers_.find(started.worker);
  if (found == workers_.end()) return;
  found->second.pid = started.pid;
  if (head_)
    send(head_, WorkerStarted{started.worker, started.pid, found->second.port, found->second.generation});
}

void Agent::on_process(const ProcessOutput& output) {
  const auto found = workers_.find(output.worker);
  if (found == workers_.end()) return;
  found->second.log.add(output.bytes);
  send_log(output.worker, found->second);
}

void Agent::on_process(const ProcessExited& exited) {
  const auto found = workers_.find(exited.worker);
  if (found == workers_.end()) return;
  found->second.exited = true;
  auto report_of_exit = describe_exit(exited.worker, exited.status);
  report_of_exit.generation = found->second.generation;
  if (is_memory_kill(exited.status)) {
    report_of_exit.outside = false;  // the job needs more than there is: it would die again at once
    report_of_exit.text += ": memory ran out, this machine's or its control group's";
  }
  report_of_exit.lost =
      found->second.is_command && !report_of_exit.clean && (found->second.must_end || is_term_over());
  if (report_of_exit.lost) report_of_exit.text += ": its node was cut off from the head";
  spdlog::info("worker {} of job {} ended: {}", exited.worker, found->second.job, report_of_exit.text);
  if (found->second.is_command) {
    found->second.end = std::move(report_of_exit);
    found->second.log.close();
    send_log(exited.worker, found->second);
    report_command(found->second);
    return leave_if_all_have_ended();
  }
  report(std::move(report_of_exit));
  if (found->second.log.is_drained()) workers_.erase(found);
}

/// Not before its last words are in the job's log: a job that has ended has them.
void Agent::report_command(const Running& running) {
  if (registered_ && running.end && running.log.is_drained()) report(*running.end);
}

/// Asked for processes that this node was told to kill, too: the head tells it so when it loses the
/// connection of one that the kernel is ending.
bool Agent::is_memory_kill(int status) {
  if (!memory_kills_ || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return false;
  const auto count = read_memory_kills();
  return count && memory_kills_->claim(*count);
}

/// While there is no head, the list in the next hello says the same. Once that is sent, what follows is
/// news.
void Agent::report(WorkerExited exited) {
  if (head_) send(head_, std::move(exited));
}

void Agent::send_log(std::uint64_t worker, Running& running) {
  if (!registered_) return;
  if (auto text = running.log.take()) send(head_, LogLines{running.job, worker, std::move(*text)});
}

void Agent::on_log_taken(const LogTaken& taken) {
  const auto found = workers_.find(taken.worker);
  if (found == workers_.end()) return;
  found->second.log.on_taken();
  send_log(taken.worker, found->second);
  if (found->second.is_command) {
    report_command(found->second);
    return leave_if_all_have_ended();
  }
  if (found->second.exited && found->second.log.is_drained()) workers_.erase(found);
}

}  // namespace ds::node
