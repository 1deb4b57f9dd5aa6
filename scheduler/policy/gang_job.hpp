#pragma once

#include <cstddef>
#include <cstdint>
#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/policy/capacity.hpp"
#include "scheduler/policy/first_short_enough.hpp"
#include "scheduler/policy/growth.hpp"
#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// What a job asks of what queues are guaranteed; see `for_each_guaranteed`.
struct GuaranteeClaim {
  std::optional<Room> minimum = {};  ///< what it stands in line for; none: it may not run, or keeps all
  std::optional<Room> kept = {};     ///< what nobody gets back from it
  bool is_all_kept = false;          ///< and that is all of its minimum
  bool operator==(const GuaranteeClaim&) const = default;
};

/// A job as a `GangPlanner` keeps it, and the orders in which it looks at jobs. From `workers` on: with the
/// steps of the plan in hand.
struct GangJob {
  Demand demand;
  bool is_wanted = true;      ///< false: it has ended, and only its workers are still there
  std::vector<Lease> leases;  ///< releasing ones too
  WorkerSize size;
  std::uint32_t needed = 1;  ///< `workers.min`, at least 1
  std::size_t queue = TenantTree::kRoot;
  bool has_queue = true;              ///< false: its tenant is not known any more
  bool is_occupant = false;           ///< holds room on available nodes
  Room elsewhere;                     ///< that it has on nodes that are away
  std::uint32_t started = 0;          ///< live workers when the plan began
  bool is_pending = true;             ///< neither held nor impossible: waits for its turn, or for slots
  std::uint64_t least_fitting = 0;    ///< workers for which empty nodes must have room; else impossible
  std::optional<Room> least_total;    ///< slots and GPUs that there must be; none: its queue never allows it
  GuaranteeClaim claim = {};          ///< none without tenants
  std::size_t guaranteed_levels = 0;  ///< of its minimum; as of the last plan's beginning
  std::size_t filed_levels = 0;       ///< the same where it is found by them; see `PreemptGroup`
  std::uint32_t workers = 0;          ///< live ones, plus placed, minus released
  std::uint32_t kept = 0;             ///< workers by which it grows that room is kept for
  std::vector<std::size_t> reserved_on;     ///< nodes where room is kept for workers that it gets later
  std::vector<const Lease*> live;           ///< newest first; released ones are taken out
  std::map<std::size_t, std::uint32_t> at;  ///< workers on each node that has any
  std::uint32_t at_unknown_nodes = 0;       ///< workers on nodes that are not listed
  bool was_shrunk = false;                  ///< lost workers in this plan
  bool is_relocated = false;                ///< a worker goes to another node by this plan
  bool is_touched = false;                  ///< changed in this plan
  bool is_released_from = false;            ///< the same by releases, even if they were taken back
  GrowthStep growth;                        ///< from the workers that it has, or that are kept for it
  double loss = 0;                          ///< if it loses one of its workers, by slot

  /// The larger first, then in the order of submission; the order of ids decides between equals.
  struct ByPriority {
    using is_transparent = void;
    bool operator()(const GangJob* a, const GangJob* b) const {
      return std::tie(b->demand.priority, a->demand.order, a->demand.job) <
             std::tie(a->demand.priority, b->demand.order, b->demand.job);
    }
  };
  /// Those with a promise in the order of submission, then by priority.
  struct Before {
    bool operator()(const GangJob* a, const GangJob* b) const {
      if (a->demand.has_promise != b->demand.has_promise) return a->demand.has_promise;
      if (a->demand.has_promise)
        return std::tie(a->demand.order, a->demand.job) < std::tie(b->demand.order, b->demand.job);
      return ByPriority()(a, b);
    }
  };
  /// Knows how many come before one, too.
  using Jobs = __gnu_pbds::tree<GangJob*, __gnu_pbds::null_type, Before, __gnu_pbds::rb_tree_tag,
                                __gnu_pbds::tree_order_statistics_node_update>;
  /// How long a job lasts that starts now.
  struct Length {
    std::int64_t operator()(const GangJob* job) const {
      return job->demand.lasts_ms > 0 ? job->demand.lasts_ms : std::numeric_limits<std::int64_t>::max();
    }
  };
  /// Finds the first that is short enough.
  using JobsByLength = __gnu_pbds::tree<GangJob*, __gnu_pbds::null_type, Before, __gnu_pbds::rb_tree_tag,
                                        FirstShortEnough<Length>::Update>;
  struct EndsBefore {
    bool operator()(const GangJob* a, const GangJob* b) const {
      return a->demand.ends_ms != b->demand.ends_ms ? a->demand.ends_ms < b->demand.ends_ms : Before()(a, b);
    }
  };
  struct LikelyEndsBefore {
    bool operator()(const GangJob* a, const GangJob* b) const {
      return a->demand.likely_ends_ms != b->demand.likely_ends_ms
                 ? a->demand.likely_ends_ms < b->demand.likely_ends_ms
                 : Before()(a, b);
    }
  };
  struct Shape {
    WorkerSize size;
    std::uint32_t needed = 1;
    bool is_together = false;  ///< on one node
    bool is_fixed = false;     ///< not preemptible, among tenants
    auto operator<=>(const Shape&) const = default;
  };
  /// Jobs without workers.
  using ByShape = std::map<Shape, JobsByLength>;
  /// Priority (the larger first), gain (the larger first), workers (the fewer first), order, id: who grows
  /// first.
  using GrowthRank = std::tuple<std::uint32_t, double, std::uint32_t, std::uint64_t, std::string_view>;
  /// Size of worker, and whether all must be on one node.
  using GrowthGroup = std::pair<WorkerSize, bool>;
  using Growable = std::map<GrowthGroup, std::map<GrowthRank, GangJob*>>;
  /// Loss (the larger first), workers (the fewer first), order, id: who is taken from last.
  using ShrinkRank = std::tuple<double, std::uint32_t, std::uint64_t, std::string_view>;
  /// Priority, size of worker, whether its speed as it is was measured, whether it rests: what may be
  /// taken is the same for all of one.
  using ShrinkGroup = std::tuple<std::uint32_t, WorkerSize, bool, bool>;
  /// Guaranteed levels, priority, whether it is young: who may preempt one is the same for all of one.
  using PreemptGroup = std::tuple<std::size_t, std::uint32_t, bool>;
};

/// All its workers must be on one node.
inline bool is_together(const GangJob& job) {
  return job.demand.placement == PlacementRule::same_node;
}

/// Not just any worker of another job is of use to it.
inline bool is_picky(const GangJob& job) {
  return job.size.gpus > 0 || is_together(job);
}

inline GangJob::Shape shape_of(const GangJob& job) {
  return {job.size, job.needed, is_together(job), !job.demand.preemptible && job.queue != TenantTree::kRoot};
}

inline GangJob::GrowthGroup growth_group(const GangJob& job) {
  return {job.size, is_together(job)};
}

inline GangJob::GrowthRank growth_rank(const GangJob& job) {
  return {~job.demand.priority, -job.growth.gain, job.workers, job.demand.order, job.demand.job};
}

inline GangJob::ShrinkRank shrink_rank(const GangJob& job) {
  return {-job.loss, job.workers, job.demand.order, job.demand.job};
}

/// Whether others may be given its workers while it lacks some of its minimum.
inline bool could_yield(const GangJob& job) {
  return !job.demand.works_with_fewer && !job.demand.has_promise;
}

/// Whether it may preempt the other, of its queue.
inline bool gives_way(const GangJob& other, const GangJob& job) {
  return other.demand.preemptible && !other.demand.has_promise && other.demand.priority < job.demand.priority;
}

/// Whether the job's workers above its minimum are there for another of its queue.
inline bool yields_to(const GangJob& job, const GangJob& beneficiary) {
  return job.demand.priority <= beneficiary.demand.priority || beneficiary.demand.has_promise;
}

/// When it ends, if it runs or starts now; 0: nobody knows.
inline std::int64_t end_of(const GangJob& job, std::int64_t now_ms) {
  if (job.started > 0) return job.demand.ends_ms;
  return job.demand.lasts_ms > 0 ? now_ms + job.demand.lasts_ms : 0;
}

}  // namespace ds::scheduler
