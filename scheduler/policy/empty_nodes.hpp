#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "scheduler/policy/capacity.hpp"
#include "scheduler/policy/room.hpp"

namespace ds::scheduler {

/// What the nodes would have if nobody were on them: in all, and for workers of the sizes that were asked
/// for. A node that changes costs as much as there are such sizes.
class EmptyNodes {
 public:
  /// It must outlive this.
  explicit EmptyNodes(const Capacity& capacity) : capacity_(capacity) {}

  /// After the capacity was told of the node.
  void add(std::size_t node) { count(node, true); }
  /// Before it is told of anything else there.
  void remove(std::size_t node) { count(node, false); }

  std::size_t available() const { return available_; }
  std::size_t unavailable() const { return unavailable_; }
  const Room& total() const { return total_; }  ///< of available ones
  /// Nodes that were added or removed, ever.
  std::uint64_t changes() const { return changes_; }

  /// Workers of this size that fit on all available nodes together, or on all nodes.
  std::uint64_t fitting(const WorkerSize& size, bool with_unavailable_nodes) const;
  /// On the one that has room for most.
  std::uint64_t fitting_on_one(const WorkerSize& size, bool with_unavailable_nodes) const;

 private:
  struct Fitting {
    std::uint64_t all = 0;
    std::map<std::uint64_t, std::size_t> nodes =
        {};  ///< on how many nodes so many fit; without those of none
    void count(std::uint64_t fitting, bool more);
    std::uint64_t most() const { return nodes.empty() ? 0 : nodes.rbegin()->first; }
  };
  struct BySize {
    Fitting on_available, on_others;
  };
  void count(std::size_t node, bool more);
  void count(std::size_t node, const WorkerSize& size, BySize& counts, bool more) const;
  const BySize& counts_of(const WorkerSize& size) const;

  const Capacity& capacity_;
  std::size_t available_ = 0, unavailable_ = 0;
  Room total_;
  std::uint64_t changes_ = 0;
  mutable std::map<WorkerSize, BySize> sizes_;  ///< that were asked for, `kMaxSizesAlone` at most
};

}  // namespace ds::scheduler
