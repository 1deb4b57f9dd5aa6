#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/parameters/range_shard.hpp"
#include "actors/parameters/range_vectors.hpp"
#include "actors/parameters/step_sum.hpp"
#include "actors/parameters/tree_parts.hpp"

namespace ds::parameters {

/// Requests that may wait for an answer at once; one more gets `resource_exhausted`.
inline constexpr std::size_t kMaxWaiting = std::size_t{1} << 16;

/// What a shard knows. Handlers append to `actions`; each changes nothing when it refuses.
struct RangeShard::State {
  explicit State(ShardOptions shard_options);

  ShardOptions options;
  RangeVectors vectors;
  bool has_state = false;
  std::uint64_t step = 0;             ///< sync: committed
  std::uint64_t updates = 0;          ///< made
  std::vector<std::uint64_t> clocks;  ///< bounded, async
  Buffer worker_state;                ///< a copy of its own, so that no worker's memory is held
  std::uint64_t worker_clock = 0;
  std::optional<Commit> last_commit;

  // The step after `step`, in sync.
  TreeParts parts;
  std::optional<SumOptions> asked;  ///< by the first push
  std::uint64_t asked_steps = 1;    ///< likewise, or what a prepared sum is of
  std::optional<FloatBlock> sum;    ///< its memory, once there was any
  bool prepared = false;
  bool stored = false;                      ///< all replicas have the sum
  std::optional<std::uint64_t> sum_number;  ///< it is on its way to them
  std::optional<SumVerdict> verdict;        ///< of a sum that was made here, not at the primary
  /// Whose commit is on its way to the replicas, and not made here yet.
  std::optional<std::uint64_t> announced;

  // Who waits.
  struct WaitingPull {
    Ticket ticket = 0;
    Pull pull;
  };
  struct Unstored {
    std::uint64_t number = 0;
    Ticket ticket = 0;
    Answer answer;
  };
  std::vector<std::pair<Ticket, Request>> stateless;  ///< wait for a state
  std::vector<Ticket> pushes;
  std::vector<WaitingPull> pulls;
  std::deque<Unstored> unstored;  ///< for replicas to have what was sent
  std::uint64_t next_number = 1;

  ShardActions actions;

  // ---- requests
  void handle(Ticket ticket, Request request);
  Result<void> on(Ticket ticket, const PushSum& push);
  Result<void> on(Ticket ticket, const CommitAndPull& request);
  Result<void> on(Ticket ticket, const PushUpdate& push);
  Result<void> on(Ticket ticket, const Pull& pull);
  Result<void> on(Ticket ticket, const Install& install);
  Result<void> on(Ticket ticket, const KeepWorkerState& keep);
  Result<void> on(Ticket ticket, const ReadRange& read);
  std::size_t waiting() const { return stateless.size() + pushes.size() + pulls.size() + unstored.size(); }
  Result<void> expect_mode(bool sync, const char* what) const;

  // ---- what they do, on primaries and replicas alike
  void prepare();
  Result<void> commit(const Commit& one);
  /// Whether it can be made, or was: then nothing will be done.
  Result<void> check_commit(const Commit& one) const;
  /// False: it was applied already.
  Result<bool> apply(const PushUpdate& push);
  /// False: a newer one is there.
  bool keep(const KeepWorkerState& one);
  Result<void> restore(const RangeImage& image);
  bool store(const StoreSum& one);
  void forget_sum();
  void forget_askers();

  // ---- answers
  void answer(Ticket ticket, Answer what) { actions.push_back(SendAnswer{ticket, std::move(what)}); }
  /// Answers once all replicas have `update`, or all that was sent before if there is none.
  void answer_when_stored(Ticket ticket, std::optional<ReplicaUpdate> update, Answer what);
  std::uint64_t send(ReplicaUpdate update);
  void answer_push(Ticket push);
  void send_sum();
  void answer_pulls();
  std::uint64_t version() const { return (options.sync ? step : updates) + 1; }  ///< of the parameters
  std::uint64_t slowest() const;
  Pulled pulled(std::uint64_t have) const;
  RangeImage image() const;
  RangeImage image_without_vectors() const;
  std::string name() const;  ///< for errors
};

}  // namespace ds::parameters
