#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "actors/fabric/fabric.hpp"

namespace ds::server {

struct ServerOptions {
  std::string head;  ///< HTTP address, `HOST:PORT`
  std::uint64_t worker = 0;
  std::string job;
  std::function<void()> leave;  ///< called when nothing more is wanted of the process
};

/// The actor of one parameter-server process: key ranges, between the workers that push and pull and the
/// replicas. It has a thread of its own, for sums and optimizer steps take as long as the memory does.
///
/// It serves on while there is no head; what the head must know is said again to the next one.
caf::actor spawn_server(caf::actor_system& system, fabric::Fabric& fabric, ServerOptions options);

}  // namespace ds::server
