#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/fabric/fabric.hpp"
#include "actors/head/head_line.hpp"

namespace ds::server {

/// The actor of one parameter-server process: key ranges, between the workers that push and pull and the
/// replicas. It has a thread of its own, for sums and optimizer steps take as long as the memory does.
///
/// It serves on while there is no head; what the head must know is said again to the next one.
caf::actor spawn_server(caf::actor_system& system, fabric::Fabric& fabric, head::JobProcess process);

}  // namespace ds::server
