#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// More memory than this counts as just more: so sums of it cannot overflow.
inline constexpr std::uint64_t kMaxMemoryBytes = std::uint64_t{1} << 50;

/// What one worker takes of a node.
struct WorkerSize {
  std::uint32_t slots = 1;
  std::uint64_t memory_bytes = 0;
  auto operator<=>(const WorkerSize&) const = default;
};

/// More than any node has becomes one byte more than that.
WorkerSize worker_size(std::uint32_t slots, std::uint64_t memory_bytes);

/// What is free on a node.
struct Room {
  std::uint64_t slots = 0;
  std::uint64_t memory_bytes = 0;
};

/// How many workers of a size fit into `room`. A worker that takes nothing fits as often as 32 bits can
/// count.
std::uint64_t count_fitting(const Room& room, const WorkerSize& size);

/// What is free on the nodes, kept twice: `now`, and `later`, when all that is releasing is gone. What waits
/// for a release is reserved in `later` only; what is placed must fit in both, so it can neither overfill a
/// node nor take what another waits for. Nodes that are not available have no room at all.
///
/// A change costs the logarithm of the number of nodes, times the number of sizes that were asked for; what
/// fits on all nodes is known without looking at them.
class Capacity {
 public:
  static constexpr std::size_t kUnknownNode = static_cast<std::size_t>(-1);

  explicit Capacity(std::vector<NodeView> nodes);
  Capacity(const Capacity&) = delete;
  Capacity& operator=(const Capacity&) = delete;

  std::size_t node_count() const { return nodes_.size(); }
  const NodeView& node(std::size_t index) const { return nodes_[index]; }
  std::size_t index_of(std::string_view node) const;

  Room total(std::size_t node) const;  ///< of a node when empty
  Room free_now(std::size_t node) const { return left(node, now_[node]); }
  Room free_later(std::size_t node) const { return left(node, later_[node]); }
  Room placeable(std::size_t node) const;  ///< the smaller of both

  /// Workers of a size that fit on all nodes together, in what is placeable or will be free.
  std::uint64_t count_placeable(const WorkerSize& size) const { return counts_of(size).placeable; }
  std::uint64_t count_later(const WorkerSize& size) const { return counts_of(size).later; }
  std::uint64_t placeable_slots() const { return placeable_slots_; }

  /// Of the nodes on which a worker of this size can be placed the fullest, the first in the list of equals.
  std::optional<std::size_t> fullest_placeable(const WorkerSize& size) const;

  /// Shows the nodes on which a worker of this size can be placed to `look`, in that order, until it says
  /// false.
  template <class Look>
  void for_each_placeable(const WorkerSize& size, Look look) const {
    for (auto one = by_room_.lower_bound({size.slots, 0, 0}); one != by_room_.end(); ++one) {
      if (std::get<1>(*one) >= size.memory_bytes && !look(std::get<2>(*one))) return;
    }
  }

  /// A worker's share, in what is used now, later or both.
  void use(std::size_t node, const WorkerSize& size, bool now, bool later);
  void free(std::size_t node, const WorkerSize& size, bool now, bool later);

 private:
  struct Used {
    std::uint64_t slots = 0;
    std::uint64_t memory_bytes = 0;
  };
  struct Counts {
    std::uint64_t placeable = 0, later = 0;
  };
  using Rank = std::tuple<std::uint64_t, std::uint64_t, std::size_t>;  ///< placeable slots, memory; index
  Room left(std::size_t node, const Used& used) const;
  Counts counts_of(const WorkerSize& size) const;
  template <class Change>
  void change(std::size_t node, Change apply);

  std::vector<NodeView> nodes_;
  std::unordered_map<std::string_view, std::size_t> index_;
  std::vector<Used> now_;
  std::vector<Used> later_;
  std::set<Rank> by_room_;  ///< available nodes
  std::uint64_t placeable_slots_ = 0;
  mutable std::map<WorkerSize, Counts> counts_;  ///< of sizes that were asked for, `kMaxSizes` at most
};

}  // namespace ds::scheduler
