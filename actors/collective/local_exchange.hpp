#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "actors/collective/exchange.hpp"

namespace ds::collective {

/// The exchanges of a gang whose ranks all live in this process, in rank order. Nothing is copied.
///
/// Each may be used by a thread of its own. `abort` on one of them ends the whole gang: every rank's waiting
/// and later calls fail with that reason. Destroying one means that its rank left: others still receive what
/// it sent before, then `unavailable`.
std::vector<std::shared_ptr<Exchange>> make_local_exchanges(std::uint32_t world_size);

}  // namespace ds::collective
