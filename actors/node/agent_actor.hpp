#pragma once

// Private to actors/node: the class behind `spawn_agent`, whose parts live in two files.

#include <atomic>
#include <caf/all.hpp>
#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "actors/messages/node.hpp"
#include "actors/node/agent.hpp"
#include "actors/node/log_buffer.hpp"
#include "actors/node/memory_kills.hpp"

namespace ds::node {

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

/// Local message: ask for another term.
struct AskForTerm {};

/// Local message: memory kills of long ago are nobody's.
struct ForgetMemoryKills {};

}  // namespace ds::node

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::WorkerEvent)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::SpawnerGone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::RetryHello)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::GraceOver)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::EndCommands)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::AskForTerm)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ds::node::ForgetMemoryKills)

namespace ds::node {

class Agent : public caf::event_based_actor {
 public:
  Agent(caf::actor_config& config, fabric::Fabric& fabric, Launcher& launcher, AgentOptions options,
        std::shared_ptr<head::HeadSearch> search, std::shared_ptr<std::atomic<bool>> stop);
  caf::behavior make_behavior() override;

 private:
  struct Running {
    std::string job;
    int pid = 0;  ///< 0: not started yet
    LogBuffer log;
    bool exited = false;
    // Of a command.
    bool is_command = false;
    std::uint64_t generation = 0;               ///< which start of the worker this is
    std::uint16_t port = 0;                     ///< chosen for it
    bool must_end = false;                      ///< it was there when a term was over
    std::optional<messages::WorkerExited> end;  ///< kept until a head has said that it is durable
  };

  // ---- the head comes and goes (agent.cpp) ----
  void find_head() { search_->tell_when_found(this); }
  void on_head_found(const fabric::ActorAddress& address);
  void say_hello();
  void on_welcome(const messages::NodeWelcome& welcome);
  void ask_for_term();
  void begin_term(std::int64_t asked_ns);
  bool is_term_over() const;
  void on_refused(const messages::NodeRefused& refused);
  void on_head_lost();

  // ---- what runs here (agent_programs.cpp) ----
  void start_worker(const messages::StartWorker& order);
  void start_command(const messages::StartCommand& order);
  void fail_start(const messages::StartCommand& order, Running& running, const Error& why);
  Result<std::uint16_t> choose_port() const;
  void stop_command(const messages::StopCommand& order);
  void on_grace_over(const GraceOver& over);
  void end_commands(const EndCommands& order);
  void leave_if_all_have_ended();
  void on_exit_taken(const messages::ExitTaken& taken);
  void kill_worker(const messages::KillWorker& order);
  void on_process(const ProcessStarted& started);
  void on_process(const ProcessOutput& output);
  void on_process(const ProcessExited& exited);
  void report_command(const Running& running);
  bool is_memory_kill(int status);
  void report(messages::WorkerExited exited);
  void send_log(std::uint64_t worker, Running& running);
  void on_log_taken(const messages::LogTaken& taken);

  fabric::Fabric& fabric_;
  Launcher& launcher_;
  AgentOptions options_;
  std::shared_ptr<head::HeadSearch> search_;
  std::shared_ptr<std::atomic<bool>> stop_;
  caf::actor head_;
  bool registered_ = false;
  int refusals_ = 0;
  caf::actor renewer_;                       ///< of the head; null: this node needs no terms of it
  std::chrono::milliseconds term_{0};        ///< as the last head said
  std::optional<MemoryKills> memory_kills_;  ///< nothing where the kernel does not count them
  std::map<std::uint64_t, Running> workers_;
  std::shared_ptr<std::promise<void>> leaving_;  ///< null: this node stays
};

}  // namespace ds::node
