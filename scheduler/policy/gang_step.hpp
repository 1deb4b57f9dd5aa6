#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/gang_job.hpp"
#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/queue_use.hpp"

namespace ds::scheduler {

struct GangStep {  ///< of a plan, to be taken back
  /// `relocated`: a lease's worker will be on `node`; `arrived`: its newcomer takes that room from now on.
  enum class Kind {
    placed,
    reserved,
    promised,
    released,
    taken_back,
    relocated,
    arrived,
    kept_fixed,
    claimed
  };
  Kind kind;
  GangJob* job = nullptr;
  std::size_t node = 0;
  const Lease* lease = nullptr;
  std::uint32_t workers = 0;  ///< that are kept for one that is not preemptible, or that it claims
};

struct TakenForRoom {  ///< what one `make_room` has released so far
  std::vector<const Lease*> workers;
  std::vector<GangJob*> jobs;  ///< all of whose workers
};

/// Of one `make_room`.
struct RoomConditions {
  bool may_preempt = true;
  const std::set<std::string>* spared = nullptr;  ///< jobs that are not preempted; null: none
  /// Asked, if given, once the room is the job's: where it says no nothing changes. Then nobody goes to
  /// another node.
  std::function<bool()> may_stay = {};
};

struct MadeRoom {  ///< what came of one `make_room`
  bool is_coming = false;
  /// If not: those that the job would pass though all workers above minimums were gone that may be taken for
  /// it; none: it lacks room.
  std::vector<QueueUse::Limit> limits = {};
  /// And the lowest queue on its way that would have it within what it is guaranteed; the root: none.
  std::size_t guarantee = TenantTree::kRoot;
};

struct RoomLack {  ///< what keeps a job from having its workers later
  bool room = false;
  std::optional<std::size_t> quota;
  bool is_none() const { return !room && !quota; }
};

struct NodeEviction {  ///< of jobs whose workers leave a node, so that a piece more has room there
  std::size_t node = 0;
  double cost = 0;  ///< in seconds times slots
  std::vector<GangJob*> jobs = {};
};

}  // namespace ds::scheduler
