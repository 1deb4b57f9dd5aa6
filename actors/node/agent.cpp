#include "actors/node/agent.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <caf/all.hpp>
#include <future>
#include <map>
#include <optional>
#include <set>

#include "actors/fabric/actor_guard.hpp"
#include "actors/messages/node.hpp"
#include "actors/node/free_port.hpp"
#include "actors/node/log_buffer.hpp"
#include "actors/node/memory_kills.hpp"

namespace ds::node {

using namespace messages;

/// Local message: something happened to a worker's process.
struct WorkerEvent {
  ProcessEvent event;
};

/// Local message: the spawner is gone, so nothing can be supervised any more.
struct SpawnerGone {};

struct RetryHello {};

/// Local message: the command has had its time to end by itself.
struct GraceOver {
  std::uint64_t worker;
  std::uint64_t generation;
};

/// Local message: the node ends, and its commands before it.
struct EndCommands {
  std::shared_ptr<std::promise<void>> done;
};

/// Local message: memory kills of long ago are nobody's.
struct ForgetMemoryKills {};

}  // namespace ds::node

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::WorkerEvent)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::SpawnerGone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::RetryHello)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::GraceOver)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::EndCommands)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::ForgetMemoryKills)

namespace ds::node {
namespace {

/// How often a name that is taken is asked for again: the head may not have noticed yet that its last owner
/// died.
constexpr int kMaxRefusals = 20;

/// A process with much memory needs seconds to end after its SIGKILL.
constexpr std::chrono::seconds kMemoryKillsTick{20};

/// For commands that a new head doesn't want; what it wants to end itself comes with a time.
constexpr std::uint32_t kStrangerGrace_ms = 10'000;

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

class Agent : public caf::event_based_actor {
 public:
  Agent(caf::actor_config& config, fabric::Fabric& fabric, Launcher& launcher, AgentOptions options,
        std::shared_ptr<head::HeadSearch> search, std::shared_ptr<std::atomic<bool>> stop)
      : event_based_actor(config),
        fabric_(fabric),
        launcher_(launcher),
        options_(std::move(options)),
        search_(std::move(search)),
        stop_(std::move(stop)) {
    if (options_.pretends) return;  // its programs have no memory
    if (const auto count = read_memory_kills()) memory_kills_.emplace(*count);
  }

  caf::behavior make_behavior() override {
    fabric::guard_actor(*this, "the node agent");
    set_down_handler([this](caf::down_msg& down) {
      if (head_ && down.source == head_.address()) on_head_lost();
    });
    if (memory_kills_) delayed_send(this, kMemoryKillsTick, ForgetMemoryKills{});
    find_head();
    return {
        [this](const head::HeadFound& found) { on_head_found(found.head); },
        [this](const NodeWelcome& welcome) { on_welcome(welcome); },
        [this](const NodeRefused& refused) { on_refused(refused); },
        [this](RetryHello) { say_hello(); },
        [this](ForgetMemoryKills) {
          if (const auto count = read_memory_kills()) memory_kills_->on_tick(*count);
          delayed_send(this, kMemoryKillsTick, ForgetMemoryKills{});
        },
        [this](const StartWorker& order) { start_worker(order); },
        [this](const messages::KillWorker& order) { kill_worker(order); },
        [this](const StartCommand& order) { start_command(order); },
        [this](const StopCommand& order) { stop_command(order); },
        [this](const ExitTaken& taken) { on_exit_taken(taken); },
        [this](GraceOver over) { on_grace_over(over); },
        [this](const EndCommands& order) { end_commands(order); },
        [this](const LogTaken& taken) { on_log_taken(taken); },
        [this](const WorkerEvent& happened) {
          std::visit([this](const auto& event) { on_process(event); }, happened.event);
        },
        [this](SpawnerGone) {
          if (stop_->load()) return;
          spdlog::error("the node's spawner process is gone: its workers have ended, this node ends too");
          workers_.clear();
          options_.leave(1);
        },
    };
  }

 private:
  struct Running {
    std::string job;
    int pid = 0;  ///< 0: not started yet
    LogBuffer log;
    bool exited = false;
    // Of a command.
    bool is_command = false;
    std::uint64_t generation = 0;     ///< which start of the worker this is
    std::uint16_t port = 0;           ///< chosen for it
    std::optional<WorkerExited> end;  ///< kept until a head has said that it is durable
  };

  void find_head() { search_->tell_when_found(this); }

  void on_head_found(const fabric::ActorAddress& address) {
    head_ = fabric_.resolve(address);
    monitor(head_);
    say_hello();
  }

  void say_hello() {
    if (!head_) return;
    NodeHello hello;
    hello.name = options_.name;
    hello.address = fmt::format("{}:{}", fabric_.self().host, fabric_.self().port);
    hello.pid = getpid();
    hello.slots = options_.slots;
    hello.cores = options_.machine.cores;
    hello.memory_bytes = options_.machine.memory_bytes;
    hello.gpus = options_.machine.gpus;
    hello.agent = fabric_.address_of(this);
    hello.pretends = options_.pretends;
    for (const auto& [worker, running] : workers_) {
      // How a command ended is told in its turn: the head must not take it for lost.
      if (!running.exited || running.end)
        hello.running.push_back({worker, running.job, running.pid, running.generation});
    }
    send(head_, std::move(hello));
  }

  void on_welcome(const NodeWelcome& welcome) {
    registered_ = true;
    refusals_ = 0;
    spdlog::info("registered with the head at {} as {} with {} slots", options_.head, options_.name,
                 options_.slots);
    for (const auto& [worker, running] : workers_) {
      const bool kept = std::find(welcome.keep.begin(), welcome.keep.end(), worker) != welcome.keep.end();
      if (kept || running.exited) continue;
      running.is_command
          ? stop_command({worker, running.generation, kStrangerGrace_ms, "the head does not know it"})
          : launcher_.kill(worker);
    }
    if (leaving_) send(head_, NodeLeaving{options_.name});  // before how its programs end
    for (auto& [worker, running] : workers_) {
      running.log.on_new_head();
      send_log(worker, running);
      report_command(running);
    }
  }

  void on_refused(const NodeRefused& refused) {
    registered_ = false;
    if (++refusals_ > kMaxRefusals) {
      spdlog::error("the head refused this node: {}", refused.why);
      options_.leave(1);
      return;
    }
    if (refusals_ == 1) spdlog::warn("the head refused this node, trying again: {}", refused.why);
    delayed_send(this, std::chrono::milliseconds(500), RetryHello{});
  }

  void on_head_lost() {
    if (stop_->load()) return;
    spdlog::warn("the head is gone; {} workers go on while it is looked for", workers_.size());
    head_ = nullptr;
    registered_ = false;
    find_head();
  }

  void start_worker(const StartWorker& order) {
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
                                             options_.host};
    if (const auto spawned = launcher_.spawn(order.worker, arguments); !spawned) {
      spdlog::error("worker {} of job {} cannot be started: {}", order.worker, order.job,
                    spawned.error().message);
      report({order.worker, spawned.error().message, false, false});
      workers_.erase(order.worker);
    }
  }

  void start_command(const StartCommand& order) {
    if (leaving_) return;  // the head will see this node go
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
    if (order.chooses_port) {
      const auto port = choose_port();
      if (!port) return fail_start(order, running, port.error());
      running.port = *port;
      variables.push_back(fmt::format("MASTER_PORT={}", *port));
    }
    const auto spawned = launcher_.spawn_command(order.worker, order.arguments, order.directory, variables);
    if (!spawned) fail_start(order, running, spawned.error());
  }

  void fail_start(const StartCommand& order, Running& running, const Error& why) {
    spdlog::error("worker {} of job {} cannot be started: {}; {}", order.worker, order.job, why.message,
                  why.hint);
    running.exited = true;
    running.end = WorkerExited{order.worker, why.message, false, false, order.generation};
    report_command(running);
  }

  /// Not one that this node has given to another gang.
  Result<std::uint16_t> choose_port() const {
    std::set<std::uint16_t> given;
    for (const auto& [worker, running] : workers_) given.insert(running.port);
    return choose_free_port(given);
  }

  void stop_command(const StopCommand& order) {
    const auto found = workers_.find(order.worker);
    if (found == workers_.end() || found->second.generation < order.generation)
      return report({order.worker, "was not running", false, true, order.generation});
    if (found->second.generation > order.generation) return;
    if (found->second.exited) return;  // the head will hear of it, or hear again
    spdlog::info("ends worker {} of job {}: {}", order.worker, found->second.job, order.why);
    launcher_.terminate(order.worker);
    delayed_send(this, std::chrono::milliseconds(order.grace_ms), GraceOver{order.worker, order.generation});
  }

  void on_grace_over(const GraceOver& over) {
    const auto found = workers_.find(over.worker);
    if (found == workers_.end() || found->second.generation != over.generation || found->second.exited)
      return;
    spdlog::warn("worker {} of job {} did not end in time: it is killed", over.worker, found->second.job);
    launcher_.kill(over.worker);
  }

  void end_commands(const EndCommands& order) {
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

  void leave_if_all_have_ended() {
    const bool all = std::ranges::all_of(workers_, [this](const auto& one) {
      const Running& running = one.second;
      return !running.is_command || (running.exited && (!registered_ || running.log.is_drained()));
    });
    if (!leaving_ || !all) return;
    leaving_->set_value();
    leaving_ = std::make_shared<std::promise<void>>();  // nobody waits any more
  }

  void on_exit_taken(const ExitTaken& taken) {
    const auto found = workers_.find(taken.worker);
    if (found == workers_.end() || found->second.generation != taken.generation) return;
    if (found->second.exited && found->second.is_command) workers_.erase(found);
  }

  void kill_worker(const messages::KillWorker& order) {
    const auto found = workers_.find(order.worker);
    if (found == workers_.end() || found->second.exited) {
      report({order.worker, "was not running", true, true});
      return;
    }
    spdlog::info("ends worker {} of job {}: {}", order.worker, found->second.job, order.why);
    launcher_.kill(order.worker);
  }

  void on_process(const ProcessStarted& started) {
    const auto found = workers_.find(started.worker);
    if (found == workers_.end()) return;
    found->second.pid = started.pid;
    if (head_)
      send(head_, WorkerStarted{started.worker, started.pid, found->second.port, found->second.generation});
  }

  void on_process(const ProcessOutput& output) {
    const auto found = workers_.find(output.worker);
    if (found == workers_.end()) return;
    found->second.log.add(output.bytes);
    send_log(output.worker, found->second);
  }

  void on_process(const ProcessExited& exited) {
    const auto found = workers_.find(exited.worker);
    if (found == workers_.end()) return;
    found->second.exited = true;
    auto report_of_exit = describe_exit(exited.worker, exited.status);
    report_of_exit.generation = found->second.generation;
    if (is_memory_kill(exited.status)) {
      report_of_exit.outside = false;  // the job needs more than there is: it would die again at once
      report_of_exit.text += ": memory ran out, this machine's or its control group's";
    }
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
  void report_command(const Running& running) {
    if (registered_ && running.end && running.log.is_drained()) report(*running.end);
  }

  /// Asked for processes that this node was told to kill, too: the head tells it so when it loses the
  /// connection of one that the kernel is ending.
  bool is_memory_kill(int status) {
    if (!memory_kills_ || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return false;
    const auto count = read_memory_kills();
    return count && memory_kills_->claim(*count);
  }

  /// While there is no head, the list in the next hello says the same. Once that is sent, what follows is
  /// news.
  void report(WorkerExited exited) {
    if (head_) send(head_, std::move(exited));
  }

  void send_log(std::uint64_t worker, Running& running) {
    if (!registered_) return;
    if (auto text = running.log.take()) send(head_, LogLines{running.job, worker, std::move(*text)});
  }

  void on_log_taken(const LogTaken& taken) {
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

  fabric::Fabric& fabric_;
  Launcher& launcher_;
  AgentOptions options_;
  std::shared_ptr<head::HeadSearch> search_;
  std::shared_ptr<std::atomic<bool>> stop_;
  caf::actor head_;
  bool registered_ = false;
  int refusals_ = 0;
  std::optional<MemoryKills> memory_kills_;  ///< nothing where the kernel does not count them
  std::map<std::uint64_t, Running> workers_;
  std::shared_ptr<std::promise<void>> leaving_;  ///< null: this node stays
};

}  // namespace

caf::actor spawn_agent(caf::actor_system& system, fabric::Fabric& fabric, Launcher& launcher,
                       AgentOptions options, std::shared_ptr<head::HeadSearch> search,
                       std::shared_ptr<std::atomic<bool>> stop) {
  return caf::actor_cast<caf::actor>(system.spawn<Agent>(
      std::ref(fabric), std::ref(launcher), std::move(options), std::move(search), std::move(stop)));
}

void tell_event(const caf::actor& agent, ProcessEvent event) {
  caf::anon_send(agent, WorkerEvent{std::move(event)});
}

void end_commands(const caf::actor& agent, std::chrono::milliseconds grace) {
  const auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  caf::anon_send(agent, EndCommands{done});
  ended.wait_for(grace);
}

void forward_events(Spawner& spawner, const caf::actor& agent) {
  while (auto event = spawner.wait_event()) tell_event(agent, std::move(*event));
  caf::anon_send(agent, SpawnerGone{});
}

}  // namespace ds::node
