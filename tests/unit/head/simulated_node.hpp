#pragma once

#include <caf/all.hpp>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <variant>

#include "actors/fabric/fabric.hpp"
#include "actors/messages/node.hpp"
#include "scheduler/spec/slot_count.hpp"
#include "tests/unit/head/simulated_trainer.hpp"

namespace ds::head::test {

/// Of the head under test, and what a node's keepers add to it.
inline constexpr std::int64_t kNodeTerm_ms = 20'000, kFencedGrace_ms = 3'000;

/// What a simulated node was started with, and how that goes on.
struct Program {
  std::string job;
  std::uint64_t worker = 0, generation = 0;
  std::uint32_t rank = 0, ranks = 1;
  scheduler::SlotCount slots = 1;
  std::int64_t ends_ms = 0;  ///< by itself, or because it was told to
  bool ends_cleanly = true;
  bool was_stopped = false;
  bool is_fenced = false;    ///< told to end because its node was cut off
  std::string devices = {};  ///< GPUs that it may use: `0,3`
  std::optional<messages::WorkerExited> end;
};

/// Who watches what nodes do.
class NodeWatcher {
 public:
  virtual ~NodeWatcher() = default;
  virtual void on_start(const std::string& node, Program& program) = 0;
  virtual void on_end(const Program& program) = 0;
  /// It went with its node: nobody will hear how it ended.
  virtual void on_lost(const Program& program) = 0;
  /// The same of a training job's worker or a replica, no program of a user's: its `generation` is 0.
  virtual void on_worker_start(const std::string& node, Program& worker) = 0;
  virtual void on_worker_end(const Program& worker) = 0;
  /// Nobody hears how what runs there ends, until the node is back.
  virtual void on_cut_off(const std::string& node) = 0;
  virtual void on_back(const std::string& node) = 0;
};

/// A node as the head sees it: real messages from a real actor, programs that only take time. It obeys the
/// rules of `actors/node/agent.cpp`, one order when `obey_one` says so, and outlives heads.
class SimulatedNode {
 public:
  using Order =
      std::variant<messages::StartCommand, messages::StopCommand, messages::ExitTaken, messages::NodeWelcome,
                   messages::NodeRefused, messages::StartWorker, messages::KillWorker>;

  SimulatedNode(caf::actor_system& system, fabric::Fabric& fabric, std::string name, std::uint32_t slots,
                NodeWatcher& watcher, AllGangs& gangs);
  ~SimulatedNode();
  SimulatedNode(const SimulatedNode&) = delete;
  SimulatedNode& operator=(const SimulatedNode&) = delete;

  /// The head is dead: of its orders that are on their way the first `arrive` still come.
  void lose_head(std::size_t arrive);
  /// As long as none listens where the node looks for it, its programs may run; from now on for a term.
  void on_head_listens(bool listens, std::int64_t now_ms);
  void find_head(const caf::actor& head, std::int64_t now_ms, std::mt19937_64& random);
  bool has_head() const { return static_cast<bool>(head_); }

  /// No message passes for a while, and the head takes the node for lost: its programs run on for a term.
  void cut_off(std::int64_t now_ms, std::int64_t back_ms);
  bool is_cut_off(std::int64_t now_ms) const { return now_ms < back_ms_; }

  std::size_t orders() const { return inbox_->orders.size(); }
  void obey_one(std::int64_t now_ms, std::mt19937_64& random);
  /// Ends programs whose time has come.
  void end_programs(std::int64_t now_ms);
  /// Its workers of training jobs and its replicas go on; now and then one crashes, or finds the head.
  void work(const caf::actor& head, std::int64_t now_ms, std::mt19937_64& random);

  const std::string& name() const { return name_; }
  /// As it tells the head.
  static std::string sign_of_life(const std::string& name) { return name + ":1"; }
  const std::map<std::uint64_t, Program>& programs() const { return programs_; }
  scheduler::SlotCount slots_in_use() const;

 private:
  struct Inbox {
    caf::actor_addr heard;  ///< the head whose orders are taken
    std::deque<Order> orders;
  };
  static caf::behavior listen(caf::event_based_actor* self, const std::shared_ptr<Inbox>& inbox);
  void obey(const messages::StartCommand& order, std::int64_t now_ms, std::mt19937_64& random);
  void obey(const messages::StopCommand& order, std::int64_t now_ms, std::mt19937_64& random);
  void obey(const messages::ExitTaken& taken, std::int64_t now_ms, std::mt19937_64& random);
  void obey(const messages::NodeWelcome& welcome, std::int64_t now_ms, std::mt19937_64& random);
  void obey(const messages::NodeRefused& refused, std::int64_t now_ms, std::mt19937_64& random);
  void obey(const messages::StartWorker& order, std::int64_t now_ms, std::mt19937_64& random);
  void obey(const messages::KillWorker& order, std::int64_t now_ms, std::mt19937_64& random);
  void end_worker(std::uint64_t worker, const std::string& how, bool clean);
  template <class Message>
  void tell(Message message) {
    if (head_) caf::send_as(agent_, head_, std::move(message));
  }

  const std::string name_;
  const std::uint32_t slots_;
  caf::actor_system& system_;
  fabric::Fabric& fabric_;
  NodeWatcher& watcher_;
  caf::actor agent_;
  caf::actor head_;
  bool registered_ = false;
  std::int64_t back_ms_ = 0, fence_ms_ = std::numeric_limits<std::int64_t>::max();
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::map<std::uint64_t, Program> programs_;  ///< by worker
  struct Worker {
    Program program;
    std::unique_ptr<SimulatedProcess> process;
    std::uint64_t crashes_once_in = 1;  ///< looks
  };
  AllGangs& gangs_;
  std::map<std::uint64_t, Worker> workers_;
};

}  // namespace ds::head::test
