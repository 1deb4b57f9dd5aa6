#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "actors/fabric/fabric.hpp"

namespace ds::worker {

struct ShardOptions {
  std::string head;  ///< HTTP address, `HOST:PORT`
  std::uint64_t worker = 0;
  std::string job;
  std::function<void()> leave;  ///< called when nothing more is wanted of the process
};

/// The actor of a data shard's process: opens the job's training data and makes the batches that workers ask
/// for. It needs no model, and no head once it is known.
///
/// It holds at most `Workshop::Options::budget` bytes of batches, those included that workers still use;
/// beyond that it waits until one is let go.
caf::actor spawn_shard(caf::actor_system& system, fabric::Fabric& fabric, ShardOptions options);

}  // namespace ds::worker
