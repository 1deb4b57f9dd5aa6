#include "tests/unit/head/simulated_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/unit/head/simulated_replica.hpp"
#include "tests/unit/head/simulated_trainer.hpp"

namespace ds::head::test {
namespace {

using namespace messages;

/// Most programs are short; the others run so long that their gangs grow.
constexpr std::uint64_t kShortRun_ms = 6'000, kLongRun_ms = 90'000;

constexpr std::size_t kGpus = 2;

/// Once in so many looks, of which there are five a second. Replicas are to serve for two minutes.
constexpr std::uint64_t kTrainerCrashes = 300, kReplicaCrashes = 2'000;

std::string text_variable(const StartCommand& order, const std::string& name) {
  for (const auto& one : order.variables) {
    if (one.starts_with(name + "=")) return one.substr(name.size() + 1);
  }
  ADD_FAILURE() << "a program without " << name;
  return "0";
}

std::uint32_t variable(const StartCommand& order, const std::string& name) {
  return static_cast<std::uint32_t>(std::stoul(text_variable(order, name)));
}

}  // namespace

SimulatedNode::SimulatedNode(caf::actor_system& system, fabric::Fabric& fabric, std::string name,
                             std::uint32_t slots, NodeWatcher& watcher, AllGangs& gangs)
    : name_(std::move(name)),
      slots_(slots),
      system_(system),
      fabric_(fabric),
      watcher_(watcher),
      gangs_(gangs) {
  agent_ = system.spawn(listen, inbox_);
}

/// The actor may outlive the node for a moment.
caf::behavior SimulatedNode::listen(caf::event_based_actor* self, const std::shared_ptr<Inbox>& inbox) {
  const auto take = [self, inbox](const auto& order) {
    // What another head than the last has sent came too late.
    const auto sender = caf::actor_cast<caf::actor_addr>(self->current_sender());
    if (sender == inbox->heard) inbox->orders.emplace_back(order);
  };
  return {
      [take](const StartCommand& order) { take(order); }, [take](const StopCommand& order) { take(order); },
      [take](const ExitTaken& order) { take(order); },    [take](const NodeWelcome& order) { take(order); },
      [take](const NodeRefused& order) { take(order); },  [take](const StartWorker& order) { take(order); },
      [take](const KillWorker& order) { take(order); },   [](const PrepareToStart&) {}};
}

SimulatedNode::~SimulatedNode() {
  for (const auto& [worker, program] : programs_) watcher_.on_lost(program);
  for (const auto& [worker, one] : workers_) watcher_.on_worker_end(one.program);
  caf::anon_send_exit(agent_, caf::exit_reason::kill);
}

void SimulatedNode::lose_head(std::size_t arrive) {
  head_ = nullptr;
  inbox_->heard = nullptr;
  registered_ = false;
  inbox_->orders.resize(std::min(arrive, inbox_->orders.size()));
  for (auto& [worker, one] : workers_) one.process->lose_head();
}

void SimulatedNode::on_head_listens(bool listens, std::int64_t now_ms) {
  if (listens) {
    fence_ms_ = std::min(fence_ms_, now_ms + kNodeTerm_ms);
  } else if (!is_cut_off(now_ms) && now_ms < fence_ms_) {
    fence_ms_ = std::numeric_limits<std::int64_t>::max();
  }
}

void SimulatedNode::cut_off(std::int64_t now_ms, std::int64_t back_ms) {
  lose_head(0);
  watcher_.on_cut_off(name_);
  for (auto& [worker, one] : workers_) one.process->cut_off();
  caf::anon_send_exit(agent_, caf::exit_reason::kill);  // what the head sees of it
  inbox_ = std::make_shared<Inbox>();
  agent_ = system_.spawn(listen, inbox_);
  back_ms_ = back_ms;
  fence_ms_ = std::min(fence_ms_, now_ms + kNodeTerm_ms);  // it may be cut off already
}

void SimulatedNode::find_head(const caf::actor& head, std::int64_t now_ms, std::mt19937_64& random) {
  // What came from the last head stands before its loss in the agent's mailbox.
  while (orders() > 0) obey_one(now_ms, random);
  head_ = head;
  inbox_->heard = head.address();
  NodeHello hello;
  hello.name = name_;
  hello.address = "10.0.0.1:1";
  hello.sign_of_life = sign_of_life(name_);
  hello.slots = hello.cores = slots_;
  hello.memory_bytes = std::uint64_t{64} << 30;
  hello.gpus.assign(kGpus, "NVIDIA H200");
  hello.agent = fabric_.address_of(agent_);
  for (const auto& [worker, program] : programs_)
    hello.running.push_back({worker, program.job, 1, program.generation});
  for (const auto& [worker, one] : workers_) hello.running.push_back({worker, one.program.job, 1, 0});
  tell(std::move(hello));
}

void SimulatedNode::obey_one(std::int64_t now_ms, std::mt19937_64& random) {
  const Order order = std::move(inbox_->orders.front());
  inbox_->orders.pop_front();
  std::visit([&](const auto& one) { obey(one, now_ms, random); }, order);
}

void SimulatedNode::obey(const StartCommand& order, std::int64_t now_ms, std::mt19937_64& random) {
  if (const auto former = programs_.find(order.worker); former != programs_.end()) {
    if (former->second.generation >= order.generation) return;
    ASSERT_TRUE(former->second.end) << "started again before it has ended";
    programs_.erase(former);
  }
  Program program;
  program.job = order.job;
  program.worker = order.worker;
  program.generation = order.generation;
  program.rank = variable(order, "RANK");
  program.ranks = variable(order, "WORLD_SIZE");
  program.devices = text_variable(order, "CUDA_VISIBLE_DEVICES");
  const auto longest = random() % 3 == 0 ? kLongRun_ms : kShortRun_ms;
  program.ends_ms = now_ms + static_cast<std::int64_t>(random() % longest);
  program.ends_cleanly = random() % 8 != 0;
  watcher_.on_start(name_, program);
  programs_[order.worker] = program;
  tell(WorkerStarted{order.worker, 1, static_cast<std::uint16_t>(order.chooses_port ? 11'000 : 0),
                     order.generation});
}

void SimulatedNode::obey(const StopCommand& order, std::int64_t now_ms, std::mt19937_64& random) {
  const auto found = programs_.find(order.worker);
  if (found == programs_.end() || found->second.generation < order.generation)
    return tell(WorkerExited{order.worker, "was not running", false, true, order.generation});
  Program& program = found->second;
  if (program.generation > order.generation || program.end) return;
  program.was_stopped = true;
  program.ends_ms = std::min(program.ends_ms, now_ms + static_cast<std::int64_t>(random() % order.grace_ms));
  program.ends_cleanly = random() % 2 == 0;
}

void SimulatedNode::obey(const ExitTaken& taken, std::int64_t, std::mt19937_64&) {
  const auto found = programs_.find(taken.worker);
  if (found != programs_.end() && found->second.generation == taken.generation && found->second.end)
    programs_.erase(found);
}

void SimulatedNode::obey(const NodeWelcome& welcome, std::int64_t now_ms, std::mt19937_64& random) {
  registered_ = true;
  watcher_.on_back(name_);
  EXPECT_EQ(welcome.term_ms, kNodeTerm_ms);
  fence_ms_ = std::numeric_limits<std::int64_t>::max();
  for (const auto& [worker, program] : programs_) {
    if (program.end) {
      tell(*program.end);
    } else if (std::ranges::find(welcome.keep, worker) == welcome.keep.end()) {
      obey(StopCommand{worker, program.generation, 1'000, "the head does not know it"}, now_ms, random);
    }
  }
  std::vector<std::uint64_t> unknown;
  for (const auto& [worker, one] : workers_) {
    if (std::ranges::find(welcome.keep, worker) == welcome.keep.end()) unknown.push_back(worker);
  }
  for (const auto worker : unknown) end_worker(worker, "killed by signal 9 (Killed)", false);
}

void SimulatedNode::obey(const StartWorker& order, std::int64_t, std::mt19937_64&) {
  if (workers_.contains(order.worker)) return;
  Worker worker;
  worker.program.job = order.job;
  worker.program.worker = order.worker;
  for (const auto device : order.devices)
    worker.program.devices += (worker.program.devices.empty() ? "" : ",") + std::to_string(device);
  watcher_.on_worker_start(name_, worker.program);
  if (order.role == "replica") {
    worker.process = std::make_unique<SimulatedReplica>(system_, fabric_, order.worker, order.job);
    worker.crashes_once_in = kReplicaCrashes;
  } else {
    EXPECT_EQ(order.role, "worker");
    worker.process = std::make_unique<SimulatedTrainer>(system_, fabric_, gangs_, order.worker, order.job);
    worker.crashes_once_in = kTrainerCrashes;
  }
  workers_[order.worker] = std::move(worker);
  tell(WorkerStarted{order.worker, 1, 0, 0});
}

void SimulatedNode::obey(const KillWorker& order, std::int64_t, std::mt19937_64&) {
  if (workers_.contains(order.worker)) end_worker(order.worker, "killed by signal 9 (Killed)", false);
}

void SimulatedNode::end_worker(std::uint64_t worker, const std::string& how, bool clean) {
  const auto found = workers_.find(worker);
  watcher_.on_worker_end(found->second.program);
  workers_.erase(found);
  tell(WorkerExited{worker, how, clean, false, 0, false});  // without a head the next hello says it
}

void SimulatedNode::work(const caf::actor& head, std::int64_t now_ms, std::mt19937_64& random) {
  std::vector<std::uint64_t> stopped, crashed;
  for (auto& [worker, one] : workers_) {
    if (one.process->is_stopped()) {
      stopped.push_back(worker);
    } else if (random() % one.crashes_once_in == 0) {
      crashed.push_back(worker);
    } else {
      if (head && !one.process->has_head() && random() % 2 == 0) one.process->find_head(head);
      one.process->work(now_ms);
    }
  }
  for (const auto worker : stopped) end_worker(worker, "exit code 0", true);
  for (const auto worker : crashed) end_worker(worker, "killed by signal 11 (Segmentation fault)", false);
}

void SimulatedNode::obey(const NodeRefused& refused, std::int64_t, std::mt19937_64&) {
  ADD_FAILURE() << "node " << name_ << " was refused: " << refused.why;
}

void SimulatedNode::end_programs(std::int64_t now_ms) {
  for (auto& [worker, program] : programs_) {
    if (now_ms >= fence_ms_ && !program.end && !program.is_fenced) {
      program.is_fenced = program.was_stopped = true;
      const auto grace = (static_cast<std::int64_t>(worker) * 997) % kFencedGrace_ms;
      program.ends_ms = std::min(program.ends_ms, fence_ms_ + grace);
      program.ends_cleanly = false;  // whatever its own exit code
    }
    if (program.end || program.ends_ms > now_ms) continue;
    const bool clean = program.ends_cleanly;
    program.end = WorkerExited{
        worker, clean ? "exit code 0" : "exit code 1", clean, false, program.generation, program.is_fenced};
    watcher_.on_end(program);
    if (registered_) tell(*program.end);
  }
}

scheduler::SlotCount SimulatedNode::slots_in_use() const {
  scheduler::SlotCount used;
  for (const auto& [worker, program] : programs_) {
    if (!program.end) used += program.slots;
  }
  for (const auto& [worker, one] : workers_) used += one.program.slots;
  return used;
}

}  // namespace ds::head::test
