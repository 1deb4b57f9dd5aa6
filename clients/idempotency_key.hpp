#pragma once

#include <string>

namespace ds::clients {

/// A random UUID (version 4). Sent with a submit, so that sending it again makes no second job.
std::string make_idempotency_key();

}  // namespace ds::clients
