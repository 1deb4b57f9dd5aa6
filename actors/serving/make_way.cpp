#include "actors/serving/make_way.hpp"

#include <algorithm>
#include <string>

namespace ds::serving {

tl::expected<std::optional<MakesWay>, Refusal> find_who_makes_way(const TicketLine& line,
                                                                  const Ticket& ticket, LineBounds bounds) {
  using enum TicketLine::Measure;
  const std::string& tenant = ticket.tenant;
  if (line.size() >= bounds.depth) {
    if (line.empty()) return tl::unexpected(Refusal::queue_full);
    std::string longest = line.find_longest(tickets);
    // Taking a place from somebody who then has the better right to it would only swap them for ever.
    if (line.measure(longest, tickets) < line.measure(tenant, tickets) + 2) longest = tenant;
    if (line.measure(longest, tickets) == 0) return tl::unexpected(Refusal::queue_full);
    const Ticket& last = line.last_of(longest).ticket;
    if (longest == tenant && last.priority <= std::max(ticket.priority, 1U))
      return tl::unexpected(Refusal::queue_full);
    return MakesWay{last.id, Refusal::queue_full};
  }
  if (line.bytes() + ticket.bytes > bounds.bytes) {
    // More than all may have together: then it may also be that nobody in the line has any.
    if (ticket.bytes > bounds.bytes) return tl::unexpected(Refusal::too_many_bytes);
    const std::string longest = line.find_longest(bytes);
    const Ticket& last = line.last_of(longest).ticket;
    const std::uint64_t left = line.measure(longest, bytes) - last.bytes;
    if (longest == tenant || left < line.measure(tenant, bytes) + ticket.bytes)
      return tl::unexpected(Refusal::too_many_bytes);
    return MakesWay{last.id, Refusal::too_many_bytes};
  }
  return std::nullopt;
}

}  // namespace ds::serving
