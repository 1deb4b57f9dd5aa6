#include "actors/serving/refusal_text.hpp"

#include <fmt/format.h>

namespace ds::serving {

std::string refusal_text(Refusal why, const RefusedTicket& ticket, const BatchingOptions& bounds,
                         const BoundNames& names) {
  switch (why) {
    case Refusal::queue_full:
      return fmt::format("too many requests wait: {}, where {} is {}", ticket.waiting, names.depth,
                         bounds.max_depth);
    case Refusal::too_many_bytes:
      return fmt::format(
          "too many bytes of requests wait: {}, and this one has {}, where {} is {} for all together",
          ticket.waiting_bytes, ticket.bytes, names.bytes, bounds.max_bytes);
    case Refusal::too_large:
      if (ticket.rows > bounds.max_size)
        return fmt::format("the request has {} rows, and a batch may have {} ({})", ticket.rows,
                           bounds.max_size, names.size);
      return fmt::format("the request has {} bytes, and {} may wait at a time ({}): send fewer rows",
                         ticket.bytes, bounds.max_bytes, names.bytes);
    case Refusal::deadline:
    case Refusal::draining:
      break;
  }
  return {};
}

}  // namespace ds::serving
