#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/fabric/fabric.hpp"
#include "actors/head/head_line.hpp"

namespace ds::replica {

/// The actor of a replica's process: loads the job's model and answers `InferCalls`, whoever sends them.
///
/// What waits is bounded as the job's `queue` says; a request that can't be answered in time is refused at
/// once. It needs no head once it is known. Told to stop, it takes nothing new, and leaves when all that it
/// has taken is answered, or after the job's `drain`.
caf::actor spawn_replica(caf::actor_system& system, fabric::Fabric& fabric, head::JobProcess process);

}  // namespace ds::replica
