// The node's actor: its head, and its terms.
#include "actors/node/agent.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "actors/fabric/actor_guard.hpp"
#include "actors/node/agent_actor.hpp"

namespace ds::node {

using namespace messages;

namespace {

/// How often a name that is taken is asked for again: the head may not have noticed yet that its last owner
/// died.
constexpr int kMaxRefusals = 20;

/// A process with much memory needs seconds to end after its SIGKILL.
constexpr std::chrono::seconds kMemoryKillsTick{20};

/// A term is several times longer.
constexpr std::chrono::milliseconds kTermTick{500};

/// For commands that a new head doesn't want; what it wants to end itself comes with a time.
constexpr std::uint32_t kStrangerGrace_ms = 10'000;

}  // namespace

Agent::Agent(caf::actor_config& config, fabric::Fabric& fabric, Launcher& launcher, AgentOptions options,
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

caf::behavior Agent::make_behavior() {
  fabric::guard_actor(*this, "the node agent");
  set_down_handler([this](caf::down_msg& down) {
    if (head_ && down.source == head_.address()) on_head_lost();
  });
  if (memory_kills_) delayed_send(this, kMemoryKillsTick, ForgetMemoryKills{});
  if (options_.fence != nullptr) delayed_send(this, kTermTick, AskForTerm{});
  find_head();
  return {
      [this](const head::HeadFound& found) { on_head_found(found.head); },
      [this](const NodeWelcome& welcome) { on_welcome(welcome); },
      [this](const NodeRefused& refused) { on_refused(refused); },
      [this](RetryHello) { say_hello(); },
      [this](AskForTerm) { ask_for_term(); },
      [this](const NodeRenewed& renewed) {
        if (registered_) begin_term(renewed.sent_ns);
      },
      [this](ForgetMemoryKills) {
        if (const auto count = read_memory_kills()) memory_kills_->on_tick(*count);
        delayed_send(this, kMemoryKillsTick, ForgetMemoryKills{});
      },
      [this](const StartWorker& order) { start_worker(order); },
      [this](const messages::KillWorker& order) { kill_worker(order); },
      [this](const PrepareToStart&) { launcher_.prepare(); },
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

void Agent::on_head_found(const fabric::ActorAddress& address) {
  head_ = fabric_.resolve(address);
  monitor(head_);
  say_hello();
}

void Agent::say_hello() {
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
  hello.sign_of_life = options_.sign_of_life;
  hello.sent_ns = Fence::now_ns();
  hello.pretends = options_.pretends;
  for (const auto& [worker, running] : workers_) {
    // How a command ended is told in its turn: the head must not take it for lost.
    if (!running.exited || running.end)
      hello.running.push_back({worker, running.job, running.pid, running.generation});
  }
  send(head_, std::move(hello));
}

void Agent::on_welcome(const NodeWelcome& welcome) {
  registered_ = true;
  refusals_ = 0;
  term_ = std::chrono::milliseconds(welcome.term_ms);
  renewer_ = term_.count() == 0 ? nullptr : fabric_.resolve(welcome.renewer);
  begin_term(welcome.sent_ns);
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

void Agent::ask_for_term() {
  if (registered_ && renewer_) send(renewer_, RenewNode{Fence::now_ns()});
  // Where no head is, none starts anything elsewhere; the next one knows to wait.
  if (!registered_ && search_->refused_ns() > 0) begin_term(search_->refused_ns());
  delayed_send(this, kTermTick, AskForTerm{});
}

void Agent::begin_term(std::int64_t asked_ns) {
  if (options_.fence == nullptr || term_.count() == 0) return;
  const bool was_over = options_.fence->extend(asked_ns + std::chrono::nanoseconds(term_).count());
  if (!was_over) return;
  spdlog::warn("nothing was heard of the head for {} ms: users' programs of that time end", term_.count());
  for (auto& [worker, running] : workers_) running.must_end = !running.exited;
}

bool Agent::is_term_over() const {
  return options_.fence != nullptr && options_.fence->left_ns(options_.fence->term()) == 0;
}

void Agent::on_refused(const NodeRefused& refused) {
  registered_ = false;
  if (++refusals_ > kMaxRefusals) {
    spdlog::error("the head refused this node: {}", refused.why);
    options_.leave(1);
    return;
  }
  if (refusals_ == 1) spdlog::warn("the head refused this node, trying again: {}", refused.why);
  delayed_send(this, std::chrono::milliseconds(500), RetryHello{});
}

void Agent::on_head_lost() {
  if (stop_->load()) return;
  spdlog::warn("the head is gone; {} workers go on while it is looked for", workers_.size());
  head_ = nullptr;
  renewer_ = nullptr;
  registered_ = false;
  find_head();
}

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
