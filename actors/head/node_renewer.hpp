#pragma once

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/event_based_actor.hpp>
#include <memory>
#include <mutex>
#include <set>

namespace ds::head {

/// The agents of nodes that may have another term. Thread-safe.
class RenewableNodes {
 public:
  void add(const caf::actor& agent);
  void remove(const caf::actor& agent);
  bool contains(const caf::actor_addr& agent) const;

 private:
  mutable std::mutex mutex_;
  std::set<caf::actor_addr> agents_;
};

/// Answers nodes that ask for another term (`messages::RenewNode`), an actor of its own: a head that is busy
/// for long must not end its users' programs. It ends with `head`.
caf::actor spawn_renewer(caf::event_based_actor& head, std::shared_ptr<const RenewableNodes> nodes);

}  // namespace ds::head
