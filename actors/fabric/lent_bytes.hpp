#pragma once

#include <cstddef>

namespace ds::fabric {

/// What may be lent to one peer at a time; more is copied, so that a receiver who keeps what he got does not
/// hold up the sender's memory without bound.
inline constexpr std::size_t kMaxLentBytes = std::size_t{128} << 20;

}  // namespace ds::fabric
