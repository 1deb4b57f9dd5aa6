#pragma once

#include <cstdint>

namespace ds::clients {

/// Whether a server could listen on the port of 127.0.0.1 now: 0, or `EADDRINUSE` or another errno. Another
/// may take it a moment later. Port 0 is always free.
int why_not_free(std::uint16_t port);

}  // namespace ds::clients
