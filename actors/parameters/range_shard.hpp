#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "actors/parameters/key_range.hpp"
#include "actors/parameters/requests.hpp"
#include "scheduler/spec/train_spec.hpp"
#include "storage/result.hpp"

namespace ds::parameters {

/// Names a request that is owed an answer; given by whoever carries the messages.
using Ticket = std::uint64_t;

struct SendAnswer {
  Ticket ticket = 0;
  Result<Answer> answer;
};
/// Goes to every replica; `on_stored(number)` is called once all have it.
struct SendToReplicas {
  std::uint64_t number = 0;
  ReplicaUpdate update;
};
using ShardAction = std::variant<SendAnswer, SendToReplicas>;
using ShardActions = std::vector<ShardAction>;

struct ShardOptions {
  KeyRange range;
  std::uint32_t logical_ranks = 1;
  bool sync = true;
  bool replicated = false;  ///< somebody must confirm `SendToReplicas`; else nothing is sent
  scheduler::OptimizerSpec optimizer;
  std::vector<RowTable> rows;
};

/// What a server holds of one key range, and what it makes of workers' requests: sums along the fixed tree
/// over logical ranks, optimizer, versions, the clocks of stale synchronous training (Q. Ho et al., "More
/// Effective Distributed ML via a Stale Synchronous Parallel Parameter Server", NIPS 2013).
///
/// In `sync` mode a step is made in two rounds. A push is answered when the sum of all is *prepared*, here
/// and at the replicas; then everybody decides alike and commits. So when any range has committed a step,
/// every range has at least prepared it, and after a loss all can be brought to the newest committed step: no
/// update is lost, none is made twice. Gradients of a step are the same bits whoever computes them, so a part
/// that comes twice changes nothing.
///
/// Primary and replica are the same object; only who talks to it differs. Pure apart from memory: no clock,
/// no threads; one thread at a time. Requests that do not fit (an older step, a foreign part, a payload of
/// another length) are answered with `invalid_argument` or `conflict` and change nothing.
class RangeShard {
 public:
  explicit RangeShard(ShardOptions options);
  ~RangeShard();
  RangeShard(RangeShard&&) noexcept;
  RangeShard& operator=(RangeShard&&) noexcept;

  /// As primary, right before `on_request`: tells replicas of the request already, so that they carry it out
  /// while this does. Nothing for most requests, and where `on_request` would refuse.
  ShardActions announce(const Request& request);
  /// As primary. A pull or push before there is a state waits for it.
  ShardActions on_request(Ticket ticket, Request request);
  ShardActions on_stored(std::uint64_t number);
  /// As replica. False when it cannot be applied here: then this copy is useless and must be fetched anew.
  bool on_replica_update(const ReplicaUpdate& update);

  /// The generation ended: forgets all tickets, for their askers are gone, and the parts of a sum. A sum that
  /// is prepared stays: others may have committed its step, and `roll_forward` makes it here.
  void end_generation();
  /// A new one begins, its predecessor ended and all ranges at the same step. `replicated` may change. A sum
  /// that is still prepared was committed by nobody and is forgotten: answering pushes with it would let the
  /// quick workers commit its step before the others have pushed their parts.
  void begin_generation(bool replicated);

  /// Whether there is a state at all.
  bool has_state() const;
  /// sync: committed steps; else shares taken, also those that changed nothing: of two copies, the one with
  /// more has all that the other has.
  std::uint64_t applied() const;
  std::uint64_t prepared()
      const;  ///< sync: `applied() + 1` when the next step's sum is there, else `applied()`
  const std::optional<Commit>& last_commit() const;
  /// Makes the prepared step, between generations.
  Result<void> roll_forward(const Commit& commit);

  /// A copy, for a new holder of the range or a checkpoint.
  RangeImage image() const;
  Result<void> restore(const RangeImage& image);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ds::parameters
