#pragma once

#include <caf/actor_system_config.hpp>

namespace ds::messages {

/// Registers every message that crosses a process boundary. All programs call it before their actor system
/// starts.
void register_messages(caf::actor_system_config& config);

}  // namespace ds::messages
