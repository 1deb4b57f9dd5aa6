#pragma once

#include <memory>

#include "actors/collective/exchange_path.hpp"
#include "actors/collective/route.hpp"
#include "actors/collective/shared_group.hpp"

namespace ds::collective {

/// Everything goes through the exchange.
std::unique_ptr<Route> make_flat_route(ExchangePath path, std::uint32_t world_size);

/// All members share one host's memory.
std::unique_ptr<Route> make_flat_route(std::unique_ptr<SharedGroup> group, std::uint32_t world_size);

}  // namespace ds::collective
