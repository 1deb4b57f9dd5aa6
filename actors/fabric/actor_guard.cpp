#include "actors/fabric/actor_guard.hpp"

#include <spdlog/spdlog.h>

#include <caf/actor_system.hpp>
#include <caf/scheduled_actor.hpp>
#include <cstdlib>
#include <exception>

namespace ds::fabric {

void guard_actor(caf::scheduled_actor& actor, const std::string& name) {
  actor.set_exception_handler([name](caf::scheduled_actor*, std::exception_ptr& thrown) -> caf::error {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& exception) {
      spdlog::critical("{} failed and ends its process: {}", name, exception.what());
    } catch (...) {
      spdlog::critical("{} failed and ends its process", name);
    }
    std::_Exit(1);
  });
  actor.set_error_handler([name](caf::scheduled_actor* self, caf::error& error) {
    spdlog::error("{}: somebody could not take a message: {}", name, self->system().render(error));
  });
}

}  // namespace ds::fabric
