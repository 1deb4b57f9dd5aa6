#include "actors/serving/make_way.hpp"

#include <algorithm>

namespace ds::serving {
namespace {

using Holding = TicketLine::Holding;

/// Gives a place up, or null. `own`: the newcomer's tenant; null: it has nothing waiting.
Holding* whose_place(std::vector<Holding>& all, Holding* own, const TicketLine& line, const Ticket& ticket) {
  const auto longest = std::ranges::max_element(all, {}, &Holding::tickets);
  // Taking a place from somebody who then has the better right to it would only swap them for ever.
  if (longest->tickets >= (own == nullptr ? 0 : own->tickets) + 2) return &*longest;
  if (own == nullptr || own->tickets == 0) return nullptr;
  return line.at(own->last->id).ticket.priority > std::max(ticket.priority, 1U) ? own : nullptr;
}

Holding* whose_bytes(std::vector<Holding>& all, const Holding* own, const TicketLine& line,
                     const Ticket& ticket) {
  const auto longest = std::ranges::max_element(all, {}, &Holding::bytes);
  if (&*longest == own) return nullptr;
  const std::uint64_t left = longest->bytes - line.at(longest->last->id).ticket.bytes;
  return left >= (own == nullptr ? 0 : own->bytes) + ticket.bytes ? &*longest : nullptr;
}

}  // namespace

tl::expected<std::vector<MakesWay>, Refusal> find_who_makes_way(const TicketLine& line, const Ticket& ticket,
                                                                LineBounds bounds) {
  std::vector<MakesWay> ways;
  std::uint64_t tickets = line.size(), bytes = line.bytes();
  if (tickets < bounds.depth && bytes + ticket.bytes <= bounds.bytes) return ways;
  if (bounds.depth == 0) return tl::unexpected(Refusal::queue_full);
  if (ticket.bytes > bounds.bytes) return tl::unexpected(Refusal::too_many_bytes);  // whoever goes
  auto all = line.holdings();
  const auto found = std::ranges::find(all, ticket.tenant, &Holding::tenant);
  Holding* own = found == all.end() ? nullptr : &*found;
  while (tickets >= bounds.depth || bytes + ticket.bytes > bounds.bytes) {
    const bool is_place = tickets >= bounds.depth;
    const auto why = is_place ? Refusal::queue_full : Refusal::too_many_bytes;
    Holding* from = is_place ? whose_place(all, own, line, ticket) : whose_bytes(all, own, line, ticket);
    if (from == nullptr) return tl::unexpected(why);
    const Ticket& last = line.at(from->last->id).ticket;
    ways.push_back({last.id, why});
    --tickets, --from->tickets, ++from->last;
    bytes -= last.bytes, from->bytes -= last.bytes;
  }
  return ways;
}

}  // namespace ds::serving
