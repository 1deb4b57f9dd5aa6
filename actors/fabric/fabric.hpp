#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <cstdint>
#include <memory>

#include "actors/fabric/transport.hpp"

namespace ds::fabric {

/// An actor anywhere in the cluster; what handles inside messages are.
struct ActorAddress {
  ProcessAddress process;
  std::uint64_t actor = 0;  ///< 0: none
  bool operator==(const ActorAddress&) const = default;
  explicit operator bool() const { return actor != 0; }
};

template <class Inspector>
auto inspect(Inspector& f, ProcessAddress& x) {
  return f(x.id, x.host, x.port);
}

template <class Inspector>
auto inspect(Inspector& f, ActorAddress& x) {
  return f(x.process, x.actor);
}

/// Well-known actors have small numbers of their own; see `Fabric::publish`.
inline constexpr std::uint64_t kHeadActor = 1;

/// Makes actors of other processes look like local ones: `send`, `request`, `monitor` and `link` work on the
/// handles that `resolve` returns; a lost process turns into `down` and `exit` messages and failed requests,
/// once each.
class Fabric {
 public:
  struct State;  ///< for the fabric's own sources
  /// Takes the transport's `actors` channel. Destroy the fabric before `system`: then its proxies die,
  /// pending requests fail.
  Fabric(caf::actor_system& system, std::shared_ptr<Transport> transport);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  const ProcessAddress& self() const;

  /// Makes `actor` reachable under a well-known number below 1024.
  void publish(std::uint64_t number, const caf::actor& actor);

  /// The address under which other processes reach `actor` (local or a proxy). It does not keep the actor
  /// alive: an actor ends when nobody in its own process has a handle, and none of its requests waits for an
  /// answer.
  ActorAddress address_of(const caf::actor& actor);

  /// A handle for `address`: the actor itself when it is local, else a proxy. Messages to a process that
  /// cannot be reached come back as `down`/errors. Never blocks.
  caf::actor resolve(const ActorAddress& address);

 private:
  std::shared_ptr<State> state_;
};

/// Scheduler settings and message types that every process of ours needs. An idle actor wakes at once.
void configure(caf::actor_system_config& config);

}  // namespace ds::fabric
