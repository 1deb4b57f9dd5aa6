#pragma once

#include <algorithm>
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
/// its limit, if it has one; those that it is guaranteed it lends while they are idle.
///
/// Where anybody is guaranteed GPUs (`TenantTree::guarantees_gpus`), what has some is within a guarantee if
/// it is by its slots and by its GPUs, and beyond it if it is by either. What has none goes by slots alone,
/// and so does all where nobody is guaranteed any. Pure.
class QueueUse {
 public:
  enum class Lending { as_told, nothing };
  /// `total`: of the cluster; none: without an end. The tree must outlive it.
  QueueUse(const TenantTree& tree, const std::optional<Room>& total, Lending lending = Lending::as_told);

  void set_total(const Room& total) { total_ = total; }

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

  /// The least that the cluster must have for `find_limit` to allow so much more; none: it never does.
  std::optional<Room> least_total(std::size_t leaf, const Room& more) const;
  /// The same of `find_held`.
  std::optional<Room> least_total_to_hold(std::size_t leaf, const Room& more) const;

  /// The queue on the leaf's way to the root below which, with so much more in the leaf, less would be left
  /// than is held there: it may have no more, or of the root the cluster has no more. What a queue holds for
  /// itself is its own. None: it is allowed. That of slots comes first.
  std::optional<Limit> find_held(std::size_t leaf, const Room& more) const;
  /// All of these: from the leaf up, those of slots first.
  std::vector<Limit> find_all_held(std::size_t leaf, const Room& more) const;
  /// What is used below the queue, or held there, beyond what it is guaranteed.
  Room held_beyond_guarantee(std::size_t queue) const;

  /// Whether, with `more`, it has more than it is guaranteed of anything that `one` has.
  bool is_over_guarantee(std::size_t queue, const Room& one, const Room& more = {}) const {
    return used_[queue].all.slots + more.slots > tree_[queue].guaranteed ||
           (goes_by_gpus(one) && used_[queue].all.gpus + more.gpus > tree_[queue].guaranteed_gpus);
  }
  /// Whether `one` of what it has, with `more`, is beyond what it is guaranteed, and no part of that.
  bool can_spare(std::size_t queue, const Room& one, const Room& more = {}) const {
    return used_[queue].all.slots + more.slots >= tree_[queue].guaranteed + one.slots ||
           (goes_by_gpus(one) &&
            used_[queue].all.gpus + more.gpus >= tree_[queue].guaranteed_gpus + one.gpus);
  }
  /// Whether it has all that it is guaranteed of what `one` of its workers has, without that as well: then
  /// nothing that it is given instead is within its guarantee.
  bool has_guarantee_without(std::size_t queue, const Room& one) const {
    return used_[queue].all.slots >= tree_[queue].guaranteed + one.slots &&
           (!goes_by_gpus(one) || used_[queue].all.gpus >= tree_[queue].guaranteed_gpus + one.gpus);
  }
  /// Whether it is within what it is guaranteed, and `beyond`, with so much more.
  bool fits_guarantee(std::size_t queue, const Room& more, const Room& beyond = {}) const {
    return used_[queue].all.slots + more.slots <= tree_[queue].guaranteed + beyond.slots &&
           (!goes_by_gpus(more) ||
            used_[queue].all.gpus + more.gpus <= tree_[queue].guaranteed_gpus + beyond.gpus);
  }

 private:
  struct Used {
    Room all;
    Room held;           ///< that nobody else can have: used, or not lent
    Room held_by_below;  ///< used by jobs here, and held by the queues below
  };
  bool goes_by_gpus(const Room& room) const { return counts_gpus_ && room.gpus > 0; }
  Room reserved(std::size_t queue) const;
  Room held_with(std::size_t queue, const Room& below) const;
  template <class Look>
  void look_at_held(std::size_t leaf, const Room& more, Look look) const;
  template <class Of, class MostOf, class Look>
  bool look_at_held_of(std::size_t leaf, const Room& more, Of of, MostOf most_of, Look look) const;
  void change(std::size_t leaf, const Room& room, bool more);
  template <class Of, class LimitOf>
  auto least_to_hold_of(std::size_t leaf, const Room& more, Of of, LimitOf limit_of) const
      -> std::optional<decltype(of(more))>;
  /// Below the queue's parent, if so much were held below the queue; `of` slots or GPUs.
  template <class Value, class Of>
  Value held_above(std::size_t queue, Value below, Of of) const {
    return of(used_[tree_[queue].parent].held_by_below) - of(used_[queue].held) +
           std::max(below, Value(of(reserved(queue))));
  }
  template <class Look>
  void look_at_slot_limits(std::size_t leaf, SlotCount slots, Look look) const;
  template <class Look>
  void look_at_gpu_limits(std::size_t leaf, std::uint64_t gpus, Look look) const;

  const TenantTree& tree_;
  std::optional<Room> total_;
  Lending lending_;
  bool counts_gpus_;
  bool is_lending_limited_ = false;
  std::vector<Used> used_;
};

}  // namespace ds::scheduler
