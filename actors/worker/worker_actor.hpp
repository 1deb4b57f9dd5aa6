#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/collective/transport_exchange.hpp"
#include "actors/fabric/fabric.hpp"
#include "actors/head/head_line.hpp"

namespace ds::worker {

/// The actor of one worker process: carries the head's orders to the trainer and the trainer's news to the
/// head.
///
/// Training goes on while there is no head; what the head must know is said again to the next one.
caf::actor spawn_worker(caf::actor_system& system, fabric::Fabric& fabric, collective::ExchangeHub& exchanges,
                        head::JobProcess process);

}  // namespace ds::worker
