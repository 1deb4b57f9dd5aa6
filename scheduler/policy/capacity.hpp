#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/room.hpp"

namespace ds::scheduler {

/// So many nodes are looked at for one on which a worker is in no waiting job's way, and for one that holds
/// all of a gang, or most of it.
inline constexpr std::size_t kMaxNodesTried = 256;

/// More memory than this counts as just more: so sums of it cannot overflow.
inline constexpr std::uint64_t kMaxMemoryBytes = std::uint64_t{1} << 50;

/// What one worker takes of a node.
struct WorkerSize {
  SlotCount slots = 1;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::string gpu_kind = {};  ///< that it needs; empty: any
  auto operator<=>(const WorkerSize&) const = default;
};

/// More memory than any node has becomes one byte more than that.
WorkerSize size_of(const Demand& demand);
/// Of one that takes what `count` of these do.
WorkerSize together(const WorkerSize& size, std::uint32_t count);
/// What it takes; the kind of its GPUs is its node's.
WorkerSize size_of(const Lease& lease);

/// Pieces at most for which one of `size` leaves no room on its node.
std::uint64_t most_displaced(const WorkerSize& size, const WorkerSize& piece);

/// What so many workers take.
Room room_of(const WorkerSize& size, std::uint32_t workers);

/// How many workers of a size fit into `room`, if its GPUs are of their kind. A worker that takes nothing
/// fits as often as 32 bits can count.
std::uint64_t count_fitting(const Room& room, const WorkerSize& size);

/// Wastes GPUs; free GPUs that count; slots; memory.
using FillRank = std::tuple<bool, std::uint64_t, SlotCount, std::uint64_t>;

/// GPUs of one kind on available nodes.
struct GpuCount {
  std::string kind;
  std::uint64_t total = 0;
  std::uint64_t free = 0;  ///< placeable
};

/// What is free on the nodes, kept twice: `now`, and `later`, when all that is releasing is gone. What waits
/// for a release is reserved in `later` only; what is placed must fit in both, so it can neither overfill a
/// node nor take what another waits for. Nodes that are not available have no room at all.
///
/// A change, of a node too, costs the logarithm of the number of nodes, times the number of sizes that were
/// asked for; what fits on all nodes is known without looking at them. There are few kinds of GPU.
///
/// A node has an index as long as it is listed, which says nothing of when it came: of nodes that are equal
/// otherwise the one whose name is the smaller comes first, and of kinds of GPU that of the first such node.
class Capacity {
 public:
  static constexpr std::size_t kUnknownNode = static_cast<std::size_t>(-1);

  Capacity() = default;
  Capacity(const Capacity&) = delete;
  Capacity& operator=(const Capacity&) = delete;

  /// One that is not listed; its index.
  std::size_t add_node(NodeView node);
  /// One that is, on which nothing is used.
  void remove_node(std::string_view name);

  /// One above the largest index; some below may be nobody's.
  std::size_t node_count() const { return nodes_.size(); }
  bool is_listed(std::size_t index) const { return !names_[index].empty(); }
  const NodeView& node(std::size_t index) const { return nodes_[index]; }
  std::size_t index_of(std::string_view node) const;
  bool comes_before(std::size_t a, std::size_t b) const { return names_[a] < names_[b]; }

  Room total(std::size_t node) const;  ///< of a node when empty
  Room free_now(std::size_t node) const { return left(node, now_[node]); }
  Room free_later(std::size_t node) const { return left(node, later_[node]); }
  Room placeable(std::size_t node) const;  ///< the smaller of both

  /// Workers of a size that fit on all nodes together, in what is placeable or will be free.
  std::uint64_t count_placeable(const WorkerSize& size) const { return counts_of(size).placeable; }
  std::uint64_t count_later(const WorkerSize& size) const { return counts_of(size).later; }
  /// Kinds of nodes, by their GPUs; 0 has those without.
  std::size_t kind_count() const { return classes_.size(); }
  /// That one first, the others in the order of the first node of each.
  std::span<const std::size_t> kinds() const { return order_of_classes_; }
  std::size_t kind_of(std::size_t node) const { return class_of_[node]; }
  /// Of the workers that fit on all nodes those on nodes of one kind.
  std::uint64_t count_placeable(const WorkerSize& size, std::size_t kind) const {
    return counts_of(size).by_kind[kind].placeable;
  }
  std::uint64_t count_later(const WorkerSize& size, std::size_t kind) const {
    return counts_of(size).by_kind[kind].later;
  }
  SlotCount placeable_slots() const { return placeable_slots_; }
  /// Of all nodes together.
  const Room& free_later() const { return free_later_; }
  std::vector<GpuCount> gpus() const;

  /// How many workers of a size fit into `room` on this node: none where its GPUs are of another kind.
  std::uint64_t fitting(std::size_t node, const Room& room, const WorkerSize& size) const {
    return size.gpus > 0 && !has_kind(classes_of(size.gpu_kind), node) ? 0 : count_fitting(room, size);
  }
  /// Where a worker of this size goes first, the smaller the sooner: `room` is what the node has.
  FillRank fill_rank(std::size_t node, const Room& room, const WorkerSize& size) const {
    return {size.gpus == 0 && nodes_[node].gpus > 0, size.gpus > 0 ? room.gpus : 0, room.slots,
            room.memory_bytes};
  }

  /// The first that `for_each_placeable` shows.
  std::optional<std::size_t> fullest_placeable(const WorkerSize& size) const;

  /// Of the nodes of one kind, without `except`, the fullest on which all of `count` workers of this size can
  /// be placed; else one on which most of them can, of equals the fullest. Looks at a few nodes as a rule, at
  /// `kMaxNodesTried` three times at most; none: it has not found any.
  std::optional<std::size_t> choose_for(const WorkerSize& size, std::uint32_t count, std::size_t kind,
                                        std::size_t except) const;

  /// Shows the nodes on which a worker of this size can be placed to `look`, until it says false: those
  /// without GPUs first, then by kind; of a kind the fullest first (by GPUs, if it needs any), of equals by
  /// name.
  template <class Look>
  void for_each_placeable(const WorkerSize& size, Look look) const {
    if (size.gpus > 0) {
      const std::vector<bool> has = classes_of(size.gpu_kind);  // `look` may ask for other kinds
      for (const std::size_t kind : order_of_classes_) {
        const auto& nodes = classes_[kind].by_gpus;
        if (!has[kind]) continue;
        for (auto one = nodes.lower_bound({size.gpus, 0, 0, {}}); one != nodes.end(); ++one) {
          const auto& [gpus, slots, memory, node] = *one;
          if (slots >= size.slots && memory >= size.memory_bytes && !look(node.index)) return;
        }
      }
      return;
    }
    for (const std::size_t kind : order_of_classes_) {
      const auto& nodes = classes_[kind].by_slots;
      for (auto one = nodes.lower_bound({size.slots, 0, {}}); one != nodes.end(); ++one) {
        const auto& [slots, memory, node] = *one;
        if (memory >= size.memory_bytes && !look(node.index)) return;
      }
    }
  }

  /// A worker's share, in what is used now, later or both.
  void use(std::size_t node, const WorkerSize& size, bool now, bool later);
  void free(std::size_t node, const WorkerSize& size, bool now, bool later);

 private:
  struct Count {
    std::uint64_t placeable = 0, later = 0;
  };
  struct Counts : Count {
    std::vector<Count> by_kind = {};
    std::vector<bool> has_kind = {};  ///< by class; of sizes with GPUs
  };
  struct Named {  ///< a node, in the order of names
    std::string_view name;
    std::size_t index = 0;
    auto operator<=>(const Named& other) const { return name <=> other.name; }
    bool operator==(const Named& other) const { return name == other.name; }
  };
  /// Nodes whose GPUs are of one kind; the first has those without.
  struct Class {
    std::string kind;
    std::set<std::string_view> nodes;            ///< their names
    std::uint64_t gpus = 0, placeable_gpus = 0;  ///< of available nodes
    // Of available nodes: what is placeable, then the name.
    std::set<std::tuple<SlotCount, std::uint64_t, Named>> by_slots;
    std::set<std::tuple<std::uint64_t, SlotCount, std::uint64_t, Named>> by_gpus;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::optional<std::size_t> fullest_of(const WorkerSize& size, std::size_t kind, std::size_t except) const;
  std::optional<std::size_t> emptiest_of(const WorkerSize& size, std::size_t kind, std::size_t except) const;
  std::size_t class_for(const NodeView& node);
  void order_classes();
  void count_node(std::size_t node, bool more);
  void enter(std::size_t node, const Room& room);
  void leave(std::size_t node, const Room& room);
  bool has_kind(const std::vector<bool>& classes, std::size_t node) const { return classes[class_of_[node]]; }
  /// Which classes are of that kind.
  const std::vector<bool>& classes_of(const std::string& kind) const;
  Room left(std::size_t node, const Room& used) const;
  const Counts& counts_of(const WorkerSize& size) const;
  template <class Change>
  void change(std::size_t node, Change apply);
  template <class Change>
  void change_counts(std::size_t node, Change apply);

  std::vector<NodeView> nodes_;
  std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>> index_;
  std::vector<std::string_view> names_;  ///< by node; empty: that index is nobody's
  std::vector<std::size_t> vacant_;      ///< such indices
  std::vector<Room> now_;                ///< used
  std::vector<Room> later_;              ///< used
  std::vector<Class> classes_{1};
  std::vector<std::size_t> order_of_classes_{0};
  std::vector<std::size_t> class_of_;  ///< by node
  SlotCount placeable_slots_;
  Room free_later_;
  mutable std::map<std::string, std::vector<bool>> kinds_;  ///< that were asked for, `kMaxSizes` at most
  mutable std::map<WorkerSize, Counts> counts_;  ///< of sizes that were asked for, `kMaxSizes` at most
};

}  // namespace ds::scheduler
