#pragma once

#include <caf/event_based_actor.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "actors/messages/server.hpp"
#include "actors/messages/worker.hpp"
#include "actors/worker/server_link.hpp"

namespace ds::worker {

/// The parameter servers that a worker talks to in the newest generation. Part of an actor: all of it on that
/// actor.
class ServerContacts {
 public:
  ServerContacts(caf::event_based_actor& self, fabric::Fabric& fabric) : self_(self), fabric_(fabric) {}

  /// For a new generation, of a model with so many parameters. Null: it has no servers.
  std::shared_ptr<ServerLink> make_link(const messages::JoinGang& order, std::uint64_t parameters);
  void on_answer(const messages::RangeAnswer& header, Result<parameters::Answer> answer);
  /// The process may live: what was on the way between the two is gone, and nobody else needs to notice.
  void on_down(const caf::actor_addr& source);

 private:
  caf::event_based_actor& self_;
  fabric::Fabric& fabric_;
  std::uint64_t generation_ = 0;
  std::vector<caf::actor> primaries_;  ///< by range
  std::shared_ptr<ServerLink> link_;
};

}  // namespace ds::worker
