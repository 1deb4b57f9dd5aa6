#pragma once

#include <spdlog/spdlog.h>

#include <caf/error.hpp>
#include <caf/scheduled_actor.hpp>
#include <cstdlib>
#include <exception>
#include <string>

namespace ds::fabric {

/// Ends the process when a handler of `actor` throws, and lets the actor go on when somebody answers it with
/// an error, which is logged: a receiver that does not know a message answers so.
///
/// By default CAF would end the actor alone, in both cases, and leave a process that does nothing; whoever
/// supervises a process can only see, and restart, one that ended.
inline void guard_actor(caf::scheduled_actor& actor, const std::string& name) {
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
