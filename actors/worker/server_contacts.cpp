#include "actors/worker/server_contacts.hpp"

#include <algorithm>
#include <caf/all.hpp>
#include <utility>

namespace ds::worker {

std::shared_ptr<ServerLink> ServerContacts::make_link(const messages::JoinGang& order,
                                                      std::uint64_t parameters) {
  for (const auto& primary : std::exchange(primaries_, {})) self_.demonitor(primary);
  link_ = nullptr;
  generation_ = order.generation;
  if (order.primaries.empty()) return nullptr;
  std::vector<std::uint64_t> processes;
  for (const auto& address : order.primaries) {
    primaries_.push_back(fabric_.resolve(address));
    self_.monitor(primaries_.back());
    processes.push_back(address.process.id);
  }
  auto cut = parameters::cut_into_ranges(parameters, static_cast<std::uint32_t>(primaries_.size()));
  link_ = std::make_shared<ServerLink>(
      std::move(cut), std::move(processes),
      [primaries = primaries_, generation = generation_, self = fabric_.address_of(&self_)](
          std::uint32_t range, std::uint64_t ticket, parameters::Request request) {
        const messages::RangeCall call{generation, range, ticket, self};
        std::visit([&](auto& one) { caf::anon_send(primaries[range], call, std::move(one)); }, request);
      });
  return link_;
}

void ServerContacts::on_answer(const messages::RangeAnswer& header, Result<parameters::Answer> answer) {
  if (link_ && header.generation == generation_) link_->on_answer(header.ticket, std::move(answer));
}

void ServerContacts::on_down(const caf::actor_addr& source) {
  const bool is_primary =
      std::ranges::any_of(primaries_, [&](const auto& primary) { return primary.address() == source; });
  if (is_primary && link_)
    link_->abort({ErrorCode::unavailable, "the connection to a parameter server was lost", {}});
}

}  // namespace ds::worker
