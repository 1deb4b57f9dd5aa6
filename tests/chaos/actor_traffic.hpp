#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <vector>

#include "actors/fabric/fabric.hpp"
#include "tests/chaos/peer_table.hpp"
#include "tests/chaos/record.hpp"

namespace ds::chaos {

void add_chaos_messages(caf::actor_system_config& config);

/// Actors that send numbered messages to those of all other processes, ask them and monitor them.
///
/// Two senders a process send to two receivers in every other process; each pair has a number, its stream.
/// When a receiver's handle is down, the sender gets a new one, begins a new epoch and counts from 1 again.
class ActorTraffic {
 public:
  ActorTraffic(std::size_t slot, caf::actor_system& system, fabric::Fabric& fabric, PeerTable& peers,
               Journal& journal);
  ~ActorTraffic();
  ActorTraffic(const ActorTraffic&) = delete;
  ActorTraffic& operator=(const ActorTraffic&) = delete;

  void start() { running_ = true; }
  /// No more messages and requests; returns when every sender has written down how much it sent.
  void stop();

  /// What the actors share.
  struct Surroundings {
    std::size_t slot;
    fabric::Fabric& fabric;
    PeerTable& peers;
    Journal& journal;
    std::atomic<bool>& running;
  };

 private:
  caf::actor_system& system_;
  std::atomic<bool> running_{false};
  Surroundings surroundings_;
  std::vector<caf::actor> senders_;
  std::vector<caf::actor> others_;
};

}  // namespace ds::chaos
