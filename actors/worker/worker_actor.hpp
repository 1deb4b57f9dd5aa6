#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "actors/collective/transport_exchange.hpp"
#include "actors/fabric/fabric.hpp"

namespace ds::worker {

struct WorkerOptions {
  std::string head;  ///< HTTP address, `HOST:PORT`
  std::uint64_t worker = 0;
  std::string job;
  std::function<void()> leave;  ///< called when nothing more is wanted of the process
};

/// The actor of one worker process: carries the head's orders to the trainer and the trainer's news to the
/// head.
///
/// Training goes on while there is no head; what the head must know is said again to the next one.
caf::actor spawn_worker(caf::actor_system& system, fabric::Fabric& fabric, collective::ExchangeHub& exchanges,
                        WorkerOptions options);

}  // namespace ds::worker
