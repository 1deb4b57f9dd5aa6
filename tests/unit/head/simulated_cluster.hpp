#pragma once

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "actors/gateway/http_server.hpp"
#include "actors/head/head.hpp"
#include "actors/router/router.hpp"
#include "storage/log/log_store.hpp"
#include "tests/unit/head/head_watch.hpp"
#include "tests/unit/head/held_tasks.hpp"
#include "tests/unit/head/memory_checkpoints.hpp"
#include "tests/unit/head/memory_journal.hpp"
#include "tests/unit/head/simulated_node.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::head::test {

/// An actor system whose actors run when they are told to, on a clock that a test moves. One for all seeds:
/// what a seed has spawned it ends.
class StillSystem {
 public:
  StillSystem();
  caf::actor_system& system() { return system_; }
  caf::scheduler::test_coordinator& scheduler();
  fabric::Fabric& fabric() { return *fabric_; }
  /// Where jobs are submitted; it has data to train with.
  const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  struct Config : caf::actor_system_config {
    Config();
  };
  Config config_;
  caf::actor_system system_;
  std::unique_ptr<fabric::Fabric> fabric_;
  TemporaryFolder folder_;
};

/// When the head of a scripted run dies.
struct Death {
  std::uint64_t record = 0;    ///< of its journal, from 1; what it has appended behind that is lost
  bool before = false;         ///< that one too; else it is durable, and the head has not heard of it
  bool orders_arrive = false;  ///< that are on their way to nodes
};

/// The real head, without its threads and its disk, among simulated nodes; owners, operators and accidents at
/// random, such as nodes that are cut off from it; virtual time. The head may die with any number of its
/// records durable, and the next one reads those. Everything follows from the seed.
class SimulatedCluster {
 public:
  SimulatedCluster(StillSystem& still, std::uint64_t seed);
  ~SimulatedCluster();
  SimulatedCluster(const SimulatedCluster&) = delete;
  SimulatedCluster& operator=(const SimulatedCluster&) = delete;

  /// Random things happen, so many of them; then only what must: every job has to end.
  void run(int events);
  /// The same things happen, one after another, and the head dies once, or never.
  void run_script(std::optional<Death> death);

  std::uint64_t records() const { return records_; }  ///< that became durable, or with which a head died
  std::uint64_t heads() const { return heads_; }
  std::uint64_t starts() const { return watch_.starts(); }
  std::uint64_t plans() const { return plans_; }  ///< that the heads told somebody, and did not carry out
  std::uint64_t starts_with_gpus() const { return watch_.starts_with_gpus(); }
  std::uint64_t starts_with_parts() const { return watch_.starts_with_parts(); }
  std::uint64_t promises() const { return watch_.promises(); }
  std::uint64_t trainers() const { return watch_.trainers(); }
  std::uint64_t answers() const { return answers_; }  ///< of served models
  const HeadWatch::Kinds& kinds() const { return watch_.kinds(); }
  std::uint64_t snapshots() const { return snapshots_; }              ///< that heads have written
  std::uint64_t unfinished_snapshots() const { return unfinished_; }  ///< that died with their heads

 private:
  struct Submission {
    std::string key, text, id;  ///< `id`: once it was acknowledged
    bool is_refused = false;    ///< as a model is that cannot be served
  };

  struct PortWatch {
    std::string address;
    std::int64_t until_ms = 0;
    std::shared_ptr<bool> is_head_alive;
    std::function<void()> on_closed;
  };

  static constexpr std::int64_t kTimeStep_ms = 200;

  bool chance(int percent) { return static_cast<int>(pick(100)) < percent; }
  std::uint64_t pick(std::uint64_t count) { return random_() % count; }
  std::int64_t now_ms() const;

  void turn();
  void start_head();
  void kill_head();
  void kill_head(std::uint64_t survive, const std::function<std::size_t(std::size_t)>& arrive);
  bool die();
  void script_step(const std::string& path, const std::string& body = {});
  void script_job(const std::string& text);
  void script_time(std::int64_t ms);
  void check_replay(const storage::StateJournal::Recovered& recovered) const;
  void add_node();
  std::string random_job();
  std::string random_training();
  std::string random_serving();
  static bool is_serving(const std::string& text) { return text.find("kind: serve") != std::string::npos; }
  void write_model_file();
  void change_models();
  void serve_what_was_trained(int events);
  void infer();
  bool has_rollout() const;
  bool run_one_task();
  void submit(std::string text);
  void plan();
  void read_events();
  void apply_tenants();
  void send_submission(std::size_t index);
  void ask();
  void request(const std::string& path, const std::string& body = {});
  /// One handler of one actor, any that has something to do.
  bool run_one_actor();
  bool sync_one();
  bool obey_one();
  void cut_off_one();
  void tell_closed_ports();
  void pass_time(std::int64_t ms);
  void settle();
  void finish();
  bool have_all_ended() const;

  StillSystem& still_;
  const caf::actor_clock::time_point began_;
  std::mt19937_64 random_;
  HeadWatch watch_;
  HeadParts parts_;
  HeldTasks tasks_;
  MemoryCheckpoints checkpoints_;
  storage::LogStore logs_;
  AllGangs gangs_;
  caf::actor head_;
  std::shared_ptr<bool> is_alive_;                        ///< of the head: what it answers is heard
  std::vector<std::unique_ptr<MemoryJournal>> journals_;  ///< of all heads
  std::vector<std::unique_ptr<router::Router>> routers_;  ///< of these, too
  std::vector<std::unique_ptr<SimulatedNode>> nodes_;
  std::vector<Submission> submissions_;
  std::vector<PortWatch> port_watches_;
  std::uint64_t heads_ = 0, plans_ = 0, applied_ = 0, answers_ = 0, next_node_ = 1;
  std::int64_t head_began_ms_ = 0;
  std::optional<Death> death_;
  std::uint64_t records_ = 0;
  bool is_answered_ = false;           ///< the last request
  std::vector<std::string> snapshot_;  ///< of what the first `snapshot_at_` events lead to, by a head
  std::size_t snapshot_at_ = 0, journal_at_ = 0;  ///< `journal_at_`: events before the head that there is now
  std::uint64_t snapshots_ = 0, unfinished_ = 0;
};

}  // namespace ds::head::test
