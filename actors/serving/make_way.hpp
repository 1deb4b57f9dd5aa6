#pragma once

#include <cstddef>
#include <cstdint>
#include <tl/expected.hpp>
#include <vector>

#include "actors/serving/batching.hpp"
#include "actors/serving/ticket_line.hpp"

namespace ds::serving {

/// Of what waits in a line.
struct LineBounds {
  std::size_t depth = 0;  ///< tickets
  std::uint64_t bytes = 0;
};

struct MakesWay {
  std::uint64_t id = 0;
  Refusal why = Refusal::queue_full;
  bool operator==(const MakesWay&) const = default;
};

/// Who of the line must go, in this order, for `ticket` to have a place; empty: there is room. An error: it
/// is refused, and nobody goes.
///
/// The tenant with most of what is short gives up what it would get last (longest queue drop, Suter et al.,
/// INFOCOM 1998), as long as it still has more than the newcomer's then: each has its equal share, and who
/// wants less than that is not refused however much others ask for. Within a tenant a higher priority takes a
/// lower one's place. Pure.
tl::expected<std::vector<MakesWay>, Refusal> find_who_makes_way(const TicketLine& line, const Ticket& ticket,
                                                                LineBounds bounds);

}  // namespace ds::serving
