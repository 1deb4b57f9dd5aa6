#pragma once

#include <caf/event_based_actor.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "actors/fabric/fabric.hpp"
#include "actors/messages/shard.hpp"
#include "actors/messages/worker.hpp"
#include "actors/shard/shard_feed.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::worker {

/// The data shards that a worker asks. Part of an actor that handles `Run`: all of it on that actor, but for
/// `make_feed` and `counts`.
class ShardContacts {
 public:
  ShardContacts(caf::event_based_actor& self, fabric::Fabric& fabric, std::uint64_t worker)
      : self_(self), fabric_(fabric), worker_(worker) {}

  /// On the trainer's thread. The feed must end before this.
  std::unique_ptr<train::BatchSource> make_feed(const scheduler::JobSpec& spec,
                                                const train::BatchMaker& maker);
  std::optional<shard::ShardFeed::Counts> counts() { return line_.counts(); }

  void on_shards(const messages::UseShards& use);
  /// Of the shard that the message in hand came from, whatever it says of itself.
  void on_batch(const messages::BatchMade& made);
  void on_down(const caf::actor_addr& source);

 private:
  using Shards = std::map<std::uint64_t, caf::actor>;
  Shards::iterator find(const caf::actor_addr& address);

  caf::event_based_actor& self_;
  fabric::Fabric& fabric_;
  const std::uint64_t worker_;
  Shards shards_;  ///< by process
  shard::ShardLine line_;
};

}  // namespace ds::worker
