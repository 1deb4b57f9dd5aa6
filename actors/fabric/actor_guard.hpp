#pragma once

#include <caf/fwd.hpp>
#include <string>

namespace ds::fabric {

/// Ends the process when a handler of `actor` throws, and lets the actor go on when somebody answers it with
/// an error, which is logged: a receiver that does not know a message answers so.
///
/// By default CAF would end the actor alone, in both cases, and leave a process that does nothing; whoever
/// supervises a process can only see, and restart, one that ended.
void guard_actor(caf::scheduled_actor& actor, const std::string& name);

}  // namespace ds::fabric
