#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// What one worker takes of a node.
struct WorkerSize {
  std::uint32_t slots = 1;
  std::uint64_t memory_bytes = 0;
};

/// What is free on a node.
struct Room {
  std::uint64_t slots = 0;
  std::uint64_t memory_bytes = 0;
};

/// How many workers of a size fit into `room`. A worker that takes nothing fits as often as 32 bits can
/// count.
std::uint64_t count_fitting(const Room& room, const WorkerSize& size);

/// What is free on the nodes, kept twice while a plan is made: `now`, and `later`, when all that is releasing
/// is gone. What waits for a release is reserved in `later` only; what is placed must fit in both, so it can
/// neither overfill a node nor take what another waits for. Nodes that are not available have no room at all.
class Capacity {
 public:
  static constexpr std::size_t kUnknownNode = static_cast<std::size_t>(-1);

  /// Leases on nodes that are not listed use nothing. The nodes must outlive the capacity.
  Capacity(std::span<const NodeView> nodes, std::span<const Lease> leases);

  std::size_t node_count() const { return nodes_.size(); }
  const NodeView& node(std::size_t index) const { return nodes_[index]; }
  std::size_t index_of(std::string_view node) const;

  Room total(std::size_t node) const;  ///< of a node when empty
  Room free_now(std::size_t node) const { return left(node, now_[node]); }
  Room free_later(std::size_t node) const { return left(node, later_[node]); }
  Room placeable(std::size_t node) const;  ///< the smaller of both

  void place(std::size_t node, const WorkerSize& size);    ///< uses now and later
  void reserve(std::size_t node, const WorkerSize& size);  ///< uses later
  void release(std::size_t node, const WorkerSize& size);  ///< frees later; undone by `reserve`

 private:
  struct Used {
    std::uint64_t slots = 0;
    std::uint64_t memory_bytes = 0;
  };
  Room left(std::size_t node, const Used& used) const;
  static void add(Used& used, const WorkerSize& size);

  std::span<const NodeView> nodes_;
  std::map<std::string_view, std::size_t> index_;
  std::vector<Used> now_;
  std::vector<Used> later_;
};

}  // namespace ds::scheduler
