#include "actors/serving/ticket_line.hpp"

#include <algorithm>

namespace ds::serving {

void TicketLine::add(Ticket ticket, std::int64_t now_us) {
  ticket.rows = std::max(ticket.rows, 1U);
  ticket.priority = std::clamp(ticket.priority, 1U, kLowestPriority);
  const auto [found, is_new] = tenants_.try_emplace(ticket.tenant);
  Tenant& tenant = found->second;
  if (!is_new && tenant.places.empty()) --idle_tenants_;
  const std::uint32_t priority = ticket.priority;
  const std::uint64_t start = std::max(virtual_time_.at(priority), tenant.finish.at(priority));
  tenant.finish.at(priority) = start + ticket.rows;
  last_finish_.at(priority) = std::max(last_finish_.at(priority), start + ticket.rows);
  const Place place{priority, start, sequence_++, ticket.id};

  tenant.places.insert(place);
  tenant.bytes += ticket.bytes;
  tenant.rows.at(priority) += ticket.rows;
  rows_by_priority_.at(priority) += ticket.rows;
  rows_ += ticket.rows;
  bytes_ += ticket.bytes;
  line_.insert(place);
  if (ticket.deadline_us > 0) deadlines_.emplace(ticket.deadline_us, ticket.id);
  const auto waiting = all_.insert(all_.end(), Waiting{std::move(ticket), now_us, place, {}});
  by_id_.emplace(place.id, waiting);
  KeyLine& key = keys_[waiting->ticket.shape_key];
  key.places.insert(place);
  key.rows += waiting->ticket.rows;
  waiting->in_key = key.by_age.insert(key.by_age.end(), &*waiting);
}

bool TicketLine::remove(std::uint64_t id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return false;
  const auto waiting = found->second;
  const Ticket& ticket = waiting->ticket;
  const Place& place = waiting->place;

  const auto key = keys_.find(ticket.shape_key);
  key->second.places.erase(place);
  key->second.by_age.erase(waiting->in_key);
  key->second.rows -= ticket.rows;
  if (key->second.places.empty()) keys_.erase(key);

  Tenant& tenant = tenants_.find(ticket.tenant)->second;
  tenant.places.erase(place);
  tenant.bytes -= ticket.bytes;
  tenant.rows.at(place.priority) -= ticket.rows;
  rows_by_priority_.at(place.priority) -= ticket.rows;
  rows_ -= ticket.rows;
  bytes_ -= ticket.bytes;
  line_.erase(place);
  if (ticket.deadline_us > 0) deadlines_.erase({ticket.deadline_us, id});
  // At the end of a busy period nobody is ahead or behind any more.
  if (rows_by_priority_.at(place.priority) == 0)
    virtual_time_.at(place.priority) = last_finish_.at(place.priority);
  if (tenant.places.empty() && ++idle_tenants_ > kIdleTenants) forget_idle_tenants();
  all_.erase(waiting);
  by_id_.erase(found);
  return true;
}

void TicketLine::remove_leader(std::uint64_t id) {
  const Place place = at(id).place;
  std::uint64_t& time = virtual_time_.at(place.priority);
  time = std::max(time, place.start);
  remove(id);
}

void TicketLine::forget_idle_tenants() {
  std::erase_if(tenants_, [](const auto& tenant) { return tenant.second.places.empty(); });
  idle_tenants_ = 0;
}

std::uint64_t TicketLine::count_rows_before(const Ticket& ticket) const {
  const std::uint32_t priority = std::clamp(ticket.priority, 1U, kLowestPriority);
  std::uint64_t before = 0;
  for (std::uint32_t higher = 1; higher < priority; ++higher) before += rows_by_priority_.at(higher);
  const auto own = tenants_.find(ticket.tenant);
  const std::uint64_t own_rows = own == tenants_.end() ? 0 : own->second.rows.at(priority);
  before += own_rows;
  if (own_rows == rows_by_priority_.at(priority)) return before;
  // Until its turn each other tenant gets at most as much as its own has got then.
  for (const auto& [name, tenant] : tenants_) {
    if (name != ticket.tenant) before += std::min(tenant.rows.at(priority), own_rows + ticket.rows);
  }
  return before;
}

std::vector<TicketLine::Holding> TicketLine::holdings() const {
  std::vector<Holding> all;
  for (const auto& [name, tenant] : tenants_) {
    if (!tenant.places.empty())
      all.push_back({name, tenant.places.size(), tenant.bytes, tenant.places.crbegin()});
  }
  return all;
}

}  // namespace ds::serving
