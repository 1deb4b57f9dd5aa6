#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "scheduler/policy/capacity.hpp"
#include "scheduler/policy/gang_job.hpp"
#include "scheduler/policy/queue_use.hpp"
#include "scheduler/policy/unknown_ends.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// What a number of workers of a job needs: so many pieces of room, each on one node. `only`: if it must be
/// that one; `Capacity::kUnknownNode`: there is none.
struct RoomAsked {
  WorkerSize piece;
  std::uint32_t pieces = 0;
  std::optional<std::size_t> only = {};
};

/// What a waiting job is promised: from a moment on it has room, whatever starts behind it until then.
struct Reservation {
  explicit Reservation(QueueUse use_then) : use(std::move(use_then)) {}
  const GangJob* job = nullptr;
  RoomAsked ask = {};
  std::size_t keeps_back = TenantTree::kRoot;  ///< jobs below this queue are behind it
  /// None: nobody knows. Then only that starts behind it which delays it in no case.
  std::optional<std::int64_t> at_ms;
  std::optional<std::int64_t> likely_ms = {};  ///< if `at_ms` is not known: when it is likely to be
  bool is_closed = false;   ///< nothing starts behind it, but what has ended by `likely_ms`
  bool is_unknown = false;  ///< and that because nobody knows the moment
  bool for_gpus = false;    ///< it lacks nothing but its queue's quota of GPUs
  Room gone = {};           ///< of its queue's minimums, at least, once that allows it; it may lack room too
  bool is_claimed = false;  ///< promised among tenants: see `GangPlanner::find_claimed_room`
  std::vector<Room> freed;  ///< by node: what has been given back by then
  std::int64_t spare = 0;   ///< pieces for which there is room then, beyond those it needs
  QueueUse use;             ///< then, with the job's
  bool is_open = false;     ///< nobody knows the moment, but after which ends it may come at all: `ends`
  std::vector<WhenEnded> ends = {};

  /// Whether jobs of this queue and size are behind it. Where nobody knows when a queue has a GPU to spare,
  /// only those that want GPUs too are in the way of the one that waits for it.
  bool is_before(std::size_t queue, const WorkerSize& size, const TenantTree& tenants) const {
    const bool is_of_no_use = for_gpus && is_unknown && size.gpus == 0;
    return tenants.is_below(queue, keeps_back) && !is_of_no_use;
  }
  /// Whether what ends by then (0: nobody knows) has ended when the room is wanted.
  bool is_after(std::int64_t ends_ms) const { return ends_ms > 0 && at_ms && ends_ms <= *at_ms; }
  /// Or is likely to have.
  bool is_likely_after(std::int64_t ends_ms) const {
    return is_after(ends_ms) || (ends_ms > 0 && likely_ms && ends_ms <= *likely_ms);
  }
};

}  // namespace ds::scheduler
