#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "scheduler/policy/room.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// What the queues of a tree use, and what each may use beyond that.
///
/// A queue may use what it is guaranteed and, of what others leave idle, as much as it may borrow; the slots
/// that a queue does not lend count as used by it even while they are idle. Of GPUs it may use no more than
/// its limit, if it has one; nobody is guaranteed any. Pure.
class QueueUse {
 public:
  /// `total_slots`: of the cluster; none: without an end. The tree must outlive it.
  QueueUse(const TenantTree& tree, std::optional<SlotCount> total_slots);

  void set_total_slots(SlotCount total_slots) { total_slots_ = total_slots; }

  /// In the leaf `queue`, and so in all above it.
  void add(std::size_t queue, const Room& more) { change(queue, more, true); }
  void remove(std::size_t queue, const Room& less) { change(queue, less, false); }

  const Room& used(std::size_t queue) const { return used_[queue].all; }
  SlotCount slots(std::size_t queue) const { return used_[queue].all.slots; }

  /// The queue on the leaf's way to the root whose limit does not allow so much more; none: it is allowed.
  /// The root stands for slots that others do not lend. That of slots comes first.
  std::optional<std::size_t> find_limit(std::size_t leaf, const Room& more) const;
  /// A limit that does not allow so much more; `queue`: as `find_limit` has it.
  struct Limit {
    std::size_t queue = 0;
    bool is_of_gpus = false;
  };
  /// All of these, those of slots first.
  std::vector<Limit> find_limits(std::size_t leaf, const Room& more) const;
  /// Whether what `find_limit` has found is a limit of GPUs, and not of slots.
  bool is_gpu_limit(std::size_t leaf, const Room& more) const {
    return !find_limit(leaf, {.slots = more.slots, .memory_bytes = 0, .gpus = 0});
  }

  /// The fewest slots of the cluster with which `find_limit` allows so much more; none: it never does.
  std::optional<SlotCount> least_total(std::size_t leaf, const Room& more) const;
  /// The same of `find_held`.
  std::optional<SlotCount> least_total_to_hold(std::size_t leaf, SlotCount more) const;

  /// The queue on the leaf's way to the root below which, with so many slots more in the leaf, less would be
  /// left than is held there: it may have no more, or of the root the cluster has no more. What a queue holds
  /// for itself is its own. None: it is allowed.
  std::optional<std::size_t> find_held(std::size_t leaf, SlotCount more) const;
  /// Slots that are used below the queue, or held there, beyond what it is guaranteed.
  SlotCount held_beyond_guarantee(std::size_t queue) const {
    const SlotCount guaranteed = tree_[queue].guaranteed;
    return used_[queue].held > guaranteed ? used_[queue].held - guaranteed : SlotCount();
  }

  bool is_over_guarantee(std::size_t queue) const { return used_[queue].all.slots > tree_[queue].guaranteed; }
  /// Whether it has what it is guaranteed without these as well.
  bool can_spare(std::size_t queue, SlotCount slots) const {
    return used_[queue].all.slots >= tree_[queue].guaranteed + slots;
  }
  bool fits_guarantee(std::size_t queue, SlotCount more) const {
    return used_[queue].all.slots + more <= tree_[queue].guaranteed;
  }

 private:
  struct Used {
    Room all;
    SlotCount held;           ///< slots that nobody else can have: used, or not lent
    SlotCount held_by_below;  ///< used by jobs here, and held by the queues below
  };
  void change(std::size_t leaf, const Room& room, bool more);
  /// Below the queue's parent, if so much were held below the queue.
  SlotCount held_above(std::size_t queue, SlotCount below) const;
  template <class Look>
  void look_at_slot_limits(std::size_t leaf, SlotCount slots, Look look) const;
  template <class Look>
  void look_at_gpu_limits(std::size_t leaf, std::uint64_t gpus, Look look) const;

  const TenantTree& tree_;
  std::optional<SlotCount> total_slots_;
  bool is_lending_limited_ = false;
  std::vector<Used> used_;
};

}  // namespace ds::scheduler
