#pragma once

#include <chrono>
#include <vector>

#include "clients/api_client.hpp"
#include "clients/exposition.hpp"

namespace ds::clients {

/// What the head's `/metrics` says now. Throws `Failure`: no answer within `limit`, or more than 64 MiB.
std::vector<Sample> get_head_metrics(ApiClient& api, std::chrono::milliseconds limit);

}  // namespace ds::clients
