#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/fabric/transport.hpp"

namespace ds::bench {

/// Tells the other ranks where this one listens and learns where they do, through files in `folder`. Ends the
/// process with a message when one does not come within a minute.
std::vector<fabric::ProcessAddress> meet(const std::string& folder, std::uint32_t rank, std::uint32_t ranks,
                                         const fabric::ProcessAddress& self);

}  // namespace ds::bench
