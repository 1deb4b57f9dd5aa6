#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "actors/fabric/fabric.hpp"
#include "actors/head/locator.hpp"
#include "actors/node/launcher.hpp"
#include "actors/node/machine.hpp"
#include "actors/node/spawner.hpp"
#include "storage/result.hpp"

namespace ds::node {

struct AgentOptions {
  std::string head;  ///< HTTP address, `HOST:PORT`
  std::string name;
  std::string secret_file;    ///< handed on to workers
  std::string actor_program;  ///< path of `ds-actor`
  std::string host;           ///< address that workers listen on
  std::uint32_t slots = 1;
  Machine machine;
  bool pretends = false;                ///< its launcher starts nothing; users are told
  std::function<void(int code)> leave;  ///< called when the node must end, from an actor's thread
};

/// The node's actor: registers with the head (again after every loss of it), starts and ends workers on its
/// orders, and reports exits and output. Workers go on while there is no head.
///
/// Give it the launcher's events by `tell_event`. `search` may serve many agents.
caf::actor spawn_agent(caf::actor_system& system, fabric::Fabric& fabric, Launcher& launcher,
                       AgentOptions options, std::shared_ptr<head::HeadSearch> search,
                       std::shared_ptr<std::atomic<bool>> stop);

void tell_event(const caf::actor& agent, ProcessEvent event);

/// Ends the users' programs that run: SIGTERM, and after `grace` no more patience. Returns when they are gone
/// and their output is with the head, or the grace is over. Nothing is started any more, and the head is not
/// told how they ended: it loses their node, which is no crash of theirs, and they start again elsewhere.
/// Blocks: not for actors' threads.
void end_commands(const caf::actor& agent, std::chrono::milliseconds grace);

/// Sends each event of the spawner to the agent, until the spawner is gone. Runs on the caller's thread.
void forward_events(Spawner& spawner, const caf::actor& agent);

}  // namespace ds::node
