#pragma once

#include <cstddef>
#include <cstdint>

namespace ds::fabric {

// For sockets that belong to a library which does not show them. Only this process's own descriptors are
// looked at.

/// The descriptor that listens on local port `port`; -1 when there is none.
int find_listener(std::uint16_t port);
/// Connections that were accepted on local port `port` and are still open.
std::size_t count_accepted(std::uint16_t port);

/// Makes the kernel drop whatever comes to a listening socket; connections accepted before go on.
bool deafen(int listener);
void undeafen(int listener);

}  // namespace ds::fabric
