#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/fabric/fabric.hpp"
#include "actors/head/head_line.hpp"

namespace ds::worker {

/// The actor of a data shard's process: opens the job's training data and makes the batches that workers ask
/// for. It needs no model, and no head once it is known.
///
/// It holds at most `Workshop::Options::budget` bytes of batches, those included that workers still use;
/// beyond that it waits until one is let go.
caf::actor spawn_shard(caf::actor_system& system, fabric::Fabric& fabric, head::JobProcess process);

}  // namespace ds::worker
