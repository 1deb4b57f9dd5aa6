#include "actors/router/waiting_line.hpp"

#include <utility>

namespace ds::router {

WaitingLine::Entry WaitingLine::add(const JourneyPtr& journey, serving::LineBounds bounds) {
  serving::Ticket ticket;
  ticket.id = ++places_;
  ticket.rows = journey->rows;
  ticket.bytes = journey->bytes;
  const auto asked = journey->ask.request.priority;
  ticket.priority = asked == 0 ? serving::kDefaultPriority : asked;
  ticket.tenant = journey->ask.tenant;
  Entry entry;
  const auto who = serving::find_who_makes_way(line_, ticket, bounds);
  if (!who) {
    entry.refused = who.error();
    return entry;
  }
  for (const serving::MakesWay& one : *who) {
    entry.displaced.push_back({waiting_.at(one.id), one.why});
    remove(entry.displaced.back().journey);
  }
  journey->place = ticket.id;
  waiting_.emplace(ticket.id, journey);
  line_.add(std::move(ticket), 0);
  return entry;
}

bool WaitingLine::remove(const JourneyPtr& journey) {
  const auto place = std::exchange(journey->place, 0);
  line_.remove(place);
  return waiting_.erase(place) > 0;
}

std::vector<JourneyPtr> WaitingLine::take_if(const std::function<bool(const Journey&)>& condition) {
  std::vector<JourneyPtr> taken;
  for (const auto& [place, journey] : waiting_) {
    if (condition(*journey)) taken.push_back(journey);
  }
  for (const JourneyPtr& journey : taken) remove(journey);
  return taken;
}

std::vector<JourneyPtr> WaitingLine::take_all() {
  std::vector<JourneyPtr> taken;
  while (!line_.empty()) {
    const auto id = line_.first().ticket.id;
    line_.remove_leader(id);
    auto entry = waiting_.extract(id);
    entry.mapped()->place = 0;
    taken.push_back(std::move(entry.mapped()));
  }
  return taken;
}

}  // namespace ds::router
