#include <algorithm>
#include <caf/actor_system_config.hpp>
#include <caf/atom.hpp>
#include <thread>

#include "actors/fabric/fabric.hpp"
#include "actors/fabric/message_types.hpp"
#include "actors/fabric/polling_scheduler.hpp"

namespace ds::fabric {

void configure(caf::actor_system_config& config) {
  // CAF's own work stealing polls, then sleeps up to 10 ms, and an ask to an idle actor pays for it.
  config.load<PollingScheduler>();
  config.set("scheduler.max-threads", std::max<std::size_t>(4, std::thread::hardware_concurrency()));
  config.set("logger.verbosity", caf::atom("quiet"));
  add_message<Buffer>(config, "ds::Buffer");
  add_message<Real>(config, "ds::Real");
  add_message<ProcessAddress>(config, "ds::fabric::ProcessAddress");
  add_message<ActorAddress>(config, "ds::fabric::ActorAddress");
}

}  // namespace ds::fabric
