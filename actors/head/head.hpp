#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "actors/gateway/http_server.hpp"
#include "actors/head/serial_thread.hpp"
#include "actors/router/router.hpp"
#include "actors/serving/model_control.hpp"
#include "scheduler/policy/growth.hpp"
#include "storage/checkpoint/checkpoint_store.hpp"
#include "storage/log/log_store.hpp"
#include "storage/state/journal.hpp"

namespace ds::head {

/// What the head's actor works with; all outlive it.
struct HeadParts {
  fabric::Fabric* fabric = nullptr;
  storage::StateJournal* journal = nullptr;
  storage::CheckpointStore* checkpoints = nullptr;
  storage::LogStore* logs = nullptr;
  TaskQueue* checkpoint_thread = nullptr;
  TaskQueue* log_thread = nullptr;
  TaskQueue* check_thread = nullptr;  ///< reads the files that submitted jobs name
  TaskQueue* file_thread = nullptr;   ///< reads the files that become versions of models
  std::string version;
  std::string cluster_id;
  std::string tenants{};  ///< text of the file that the head was started with, which is right; empty: none
  router::Router* router = nullptr;       ///< of requests to models
  std::function<std::int64_t()> now_ms;   ///< Unix time
  std::function<std::uint32_t()> random;  ///< for the names of jobs
  scheduler::GrowthRule growth = scheduler::GrowthRule::gain;
  /// For how long users' programs may run on a node that hears nothing of a head; 0: for ever, and a node
  /// that the head doesn't hear of counts as gone at once.
  std::chrono::milliseconds node_term{0};
  /// Calls back, from any thread, when nobody listens any more at a node's `HOST:PORT`, within so long; as
  /// `gateway::PortWatch`. Only used with a term.
  std::function<void(const std::string&, std::chrono::milliseconds, std::function<void()>)> watch_port{};
  std::uint64_t max_state_bytes = 0;  ///< of a job: it is held whole while it is saved or read
  /// Is told the names of all tenants, at the start and whenever they have changed; on the head's actor.
  std::function<void(std::vector<std::string>)> on_tenants{};
  /// Ends the head: the journal failed, or a plan is wrong; nothing may be acknowledged any more.
  std::function<void(const Error&)> die;
  std::string data_dir{};  ///< on whose disk the state is; empty: nobody is told of its room
  /// The journal is compacted when so many bytes of events have come, and as many as the last snapshot has.
  std::uint64_t compact_bytes = 16 << 20;
  std::size_t snapshot_piece_bytes = 32 << 10;  ///< about 1 ms, in which the head's actor does nothing else
};

/// The head's actor: owns the ledger, decides by the policy, and makes every decision durable before anybody
/// hears of it.
///
/// It publishes itself as `fabric::kHeadActor`. Starts from what the journal recovered; jobs that ran go on
/// running. Errors: `data_loss` when the journal's contents cannot be understood.
Result<caf::actor> spawn_head(caf::actor_system& system, const HeadParts& parts);

/// Returns once the head has taken back what a former one did: then the router knows all models that are
/// served. Blocks; not for actors.
void wait_until_begun(const caf::actor& head);

/// Calls back with what `/metrics` says of the cluster. Any thread; never blocks on the actor, whose thread
/// calls.
void with_cluster_metrics(const caf::actor& head, std::function<void(std::string)> then);

/// Lets the job that serves a model of that name go on, or pauses it, and calls back on the actor's thread
/// once that is durable; `not_found`: nothing serves it. Doing it again is no error. Any thread; never blocks
/// on the actor.
void control_model(const caf::actor& head, std::string model, serving::ModelControl what,
                   std::function<void(Result<void>)> then);

/// Answers one HTTP request with the head's actor. Any thread; never blocks on the actor.
void handle_request(const caf::actor& head, gateway::HttpRequest request, gateway::Respond respond);

}  // namespace ds::head
