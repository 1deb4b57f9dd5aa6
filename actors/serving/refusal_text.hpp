#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "actors/serving/batching.hpp"

namespace ds::serving {

/// What is refused, and what waits meanwhile.
struct RefusedTicket {
  std::uint32_t rows = 0;
  std::uint64_t bytes = 0;
  std::size_t waiting = 0;  ///< tickets
  std::uint64_t waiting_bytes = 0;
};

/// What those who may change the bounds call them.
struct BoundNames {
  std::string_view size = "batching.max_size", depth = "queue.max_depth", bytes = "queue.max_bytes";
};

/// Which bound of `bounds` is in the way, what it is and what it is called; for `queue_full`,
/// `too_many_bytes` and `too_large`, else empty. Pure.
std::string refusal_text(Refusal why, const RefusedTicket& ticket, const BatchingOptions& bounds,
                         const BoundNames& names = {});

}  // namespace ds::serving
