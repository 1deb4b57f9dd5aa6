#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/policy/capacity.hpp"
#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/wait_reasons.hpp"

namespace ds::scheduler {

/// Up to so many jobs that could be preempted, the cheapest set of them is found by trying all.
inline constexpr std::size_t kMaxExactVictims = 10;

/// The state of one planning: which worker goes where is decided here, which job's turn it is by the policy.
///
/// Nodes, leases and demands must outlive it. Each step keeps the promise of `Plan`: what it places fits now.
class GangPlanner {
 public:
  /// A job while the plan is made.
  struct Job {
    const Demand* demand = nullptr;
    WorkerSize size;
    std::uint32_t needed = 1;                 ///< `workers.min`, at least 1
    std::uint32_t workers = 0;                ///< live ones, plus placed, minus released
    bool was_shrunk = false;                  ///< lost workers in this plan
    std::vector<const Lease*> live;           ///< newest first; released ones are taken out
    std::map<std::size_t, std::uint32_t> at;  ///< workers on each node that has any
    std::uint32_t at_unknown_nodes = 0;       ///< workers on nodes that are not listed
  };

  GangPlanner(std::span<const NodeView> nodes, std::span<const Lease> leases,
              std::span<const Demand> demands);

  /// By priority, the larger first, then in the order of submission; the order of ids decides between equals.
  std::vector<Job>& jobs() { return jobs_; }

  /// Whether the job could have its minimum if it were alone on the available nodes.
  bool is_feasible(const Job& job) const;

  /// Places `count` workers, all or none; false when they do not fit now.
  bool place(Job& job, std::uint32_t count);

  /// Sees to it that `count` workers will fit when all that is releasing is gone, and keeps that room for the
  /// job: by releasing workers of stalled gangs, then those above the minimum of other jobs, then less urgent
  /// jobs as a whole, where necessary. False, and nothing changed, when even all of them would not do.
  bool make_room(const Job& job, std::uint32_t count);

  /// What the job, which waits, was compared with; `ahead`, `room_is_coming` and `releasing` are left to the
  /// caller.
  WaitFacts facts_of(const Job& job) const;
  /// Jobs that could be preempted for it if they had run longer.
  std::size_t count_too_young(const Job& job) const;
  /// Workers that hold room and are stopping, those released in this plan included.
  std::uint64_t count_releasing() const;
  void wait(const Job& job, const WaitFacts& facts);

  Plan take_plan();

 private:
  struct Taken {  ///< what one `make_room` has released so far
    std::vector<const Lease*> workers;
    std::vector<Job*> jobs;  ///< all of whose workers
  };
  struct NodeTotals {
    std::size_t available = 0, unavailable = 0;
    std::uint64_t slots = 0, free_slots = 0;  ///< of available ones
  };
  using CountBySize = std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t>;

  std::uint64_t count_placeable(const WorkerSize& size) const;
  std::uint64_t count_later(const WorkerSize& size) const;
  std::uint64_t count_alone(const Job& job, bool with_unavailable_nodes, const WorkerSize& size) const;
  const NodeTotals& node_totals() const;
  void on_capacity_changed();
  template <class RoomOf>
  std::optional<std::size_t> choose_node(const std::map<std::size_t, std::uint32_t>& at,
                                         const WorkerSize& size, RoomOf room_of) const;
  bool is_available(const Lease& lease) const;

  // What may be taken for a job that waits (make_room.cpp).
  bool has_room_later(const Job& job, std::uint32_t count) const;
  Job* choose_victim(const Job& beneficiary);
  bool is_stalled_before(const Job& job, const Job& beneficiary) const;
  bool may_shrink(const Job& job, const Job& beneficiary) const;
  bool may_preempt(const Job& job, const Job& beneficiary) const;
  const Lease* newest_on_available_node(const Job& job) const;
  void preempt(const Job& job, std::uint32_t count, Taken& taken);
  void keep_cheapest(const Job& job, std::uint32_t count, std::vector<Job*>& victims);
  void keep_needed(const Job& job, std::uint32_t count, std::vector<Job*>& victims);
  void drop_needless(const Job& job, std::uint32_t count, std::vector<const Lease*>& chosen);
  void release(Job& victim, const Lease& lease);
  void take_back(const Lease& lease);
  void release_all(Job& victim);
  void take_all_back(Job& victim);
  void record(const Job& job, const Taken& taken);
  void reserve(const Job& job, std::uint32_t count);

  Capacity capacity_;
  std::span<const Lease> leases_;
  std::vector<Job> jobs_;
  std::map<std::string_view, std::size_t> index_;
  std::map<const Job*, std::vector<const Lease*>> given_up_;  ///< by jobs that were released as a whole
  std::map<std::pair<const Job*, std::size_t>, std::size_t> placement_of_;  ///< by job and node
  std::set<std::string> occupants_;  ///< jobs that hold room on available nodes
  mutable CountBySize placeable_;    ///< counted since the capacity changed
  mutable CountBySize alone_, alone_undrained_;
  mutable std::optional<NodeTotals> totals_;
  Plan plan_;
};

}  // namespace ds::scheduler
