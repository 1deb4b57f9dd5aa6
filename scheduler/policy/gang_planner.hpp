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
#include "scheduler/policy/queue_use.hpp"
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
    std::uint32_t needed = 1;  ///< `workers.min`, at least 1
    std::size_t queue = TenantTree::kRoot;
    bool has_queue = true;                    ///< false: its tenant is not known any more
    std::size_t guaranteed_levels = 0;        ///< of its minimum
    std::uint32_t workers = 0;                ///< live ones, plus placed, minus released
    bool was_shrunk = false;                  ///< lost workers in this plan
    bool is_waiting = false;                  ///< the plan says why
    std::uint32_t kept = 0;                   ///< workers that room is kept for beyond those
    std::vector<const Lease*> live;           ///< newest first; released ones are taken out
    std::map<std::size_t, std::uint32_t> at;  ///< workers on each node that has any
    std::uint32_t at_unknown_nodes = 0;       ///< workers on nodes that are not listed
  };

  GangPlanner(std::span<const NodeView> nodes, std::span<const Lease> leases, std::span<const Demand> demands,
              const TenantTree& tenants);

  /// By priority, the larger first, then in the order of submission; the order of ids decides between equals.
  std::vector<Job>& jobs() { return jobs_; }

  /// Whether the job could have its minimum if it were alone on the available nodes.
  bool is_feasible(const Job& job) const;
  /// Whether its queue could ever allow the job's minimum.
  bool is_allowed(const Job& job) const;
  /// The queue whose limit `count` more workers would pass, once all that is releasing is gone; none: they
  /// are allowed.
  std::optional<std::size_t> find_limit(const Job& job, std::uint32_t count) const;

  /// Places `count` workers, all or none; false when they do not fit or are not allowed now.
  bool place(Job& job, std::uint32_t count);

  /// Whether `count` workers would not fit on the nodes even when all that is releasing is gone.
  bool lacks_slots(const Job& job, std::uint32_t count) const { return lack_of(job, count).room; }

  /// Sees to it that `count` workers will fit and be allowed when all that is releasing is gone, and keeps
  /// that room for the job: by releasing workers of stalled gangs, then those above the minimum of other
  /// jobs, then jobs as a whole, where necessary. False, and nothing changed, when even all of them would not
  /// do.
  bool make_room(const Job& job, std::uint32_t count);
  /// The same for one worker within what the job's queue is guaranteed, by shrinking jobs of queues that have
  /// borrowed.
  bool reclaim_room(Job& job);

  /// Counts the job's missing minimum as used by its queue from now on, though there is no room for it.
  void promise(const Job& job);

  /// What queues have once all that is releasing is gone and what is kept for those that wait is theirs.
  const QueueUse& use() const { return use_later_; }
  /// Of that, the minimums of the jobs that have theirs. Unlike the whole it does not change when a job is
  /// shrunk for another: so turns that go by it are not turned round by what they lead to.
  const QueueUse& minimums() const { return use_minimum_; }
  /// Of available nodes.
  std::uint64_t total_slots() const { return node_totals().slots; }
  std::uint64_t total_memory() const { return node_totals().memory_bytes; }

  /// What the job, which waits, was compared with; who is ahead, `room_is_coming` and `releasing` are
  /// left to the caller.
  WaitFacts facts_of(const Job& job) const;
  /// Jobs that could be preempted for it if they had run longer.
  std::size_t count_too_young(const Job& job) const;
  /// Workers that hold room and are stopping, those released in this plan included.
  std::uint64_t count_releasing() const;
  void wait(Job& job, const WaitFacts& facts);

  Plan take_plan();

 private:
  struct Taken {  ///< what one `make_room` has released so far
    std::vector<const Lease*> workers;
    std::vector<Job*> jobs;  ///< all of whose workers
  };
  struct NodeTotals {
    std::size_t available = 0, unavailable = 0;
    std::uint64_t slots = 0, free_slots = 0, memory_bytes = 0;  ///< of available ones
  };
  struct Lack {  ///< what keeps a job from having its workers later
    bool room = false;
    std::optional<std::size_t> quota;
    bool is_none() const { return !room && !quota; }
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
  void count_guarantees();
  void count_minimum(const Job& job, bool more);
  QuotaFacts quota_of(const Job& job, std::size_t limit) const;

  // What may be taken for a job that waits (make_room.cpp).
  Lack lack_of(const Job& job, std::uint32_t count) const;
  bool has_room_later(const Job& job, std::uint32_t count) const { return lack_of(job, count).is_none(); }
  bool helps(const Job& victim, const Lack& lack) const;
  template <class MayShrink>
  bool take_workers(const Job& job, std::uint32_t count, Taken& taken, MayShrink may_take);
  bool finish(const Job& job, std::uint32_t count, Taken& taken);
  template <class MayShrink>
  Job* choose_victim(const Job& beneficiary, const Lack& lack, MayShrink may_take);
  bool is_stalled_before(const Job& job, const Job& beneficiary) const;
  bool may_shrink(const Job& job, const Job& beneficiary) const;
  bool may_ever_preempt(const Job& job, const Job& beneficiary) const;
  bool is_entitled(const Job& beneficiary, const Job& other, std::uint32_t count) const;
  const Lease* newest_on_available_node(const Job& job) const;
  void drop_needless(const Job& job, std::uint32_t count, std::vector<const Lease*>& chosen);
  void record(const Job& job, const Taken& taken);
  void reserve(const Job& job, std::uint32_t count);
  void release(Job& victim, const Lease& lease);
  void take_back(const Lease& lease);

  // Which jobs are preempted (preempt.cpp).
  std::vector<Job*> find_preemptible(const Job& job);
  void take_jobs(const Job& job, std::uint32_t count, Taken& taken);
  bool is_fair_to_take(const Job& other, const Job& job, std::uint32_t count) const;
  bool were_fair_to_take(std::span<Job* const> victims, const Job& job, std::uint32_t count) const;
  bool keep_cheapest(const Job& job, std::uint32_t count, std::vector<Job*>& victims);
  void keep_needed(const Job& job, std::uint32_t count, std::vector<Job*>& victims);
  void release_all(Job& victim);
  void take_all_back(Job& victim);

  Capacity capacity_;
  std::span<const Lease> leases_;
  const TenantTree& tenants_;
  QueueUse use_nothing_;
  QueueUse use_now_;
  QueueUse use_later_;
  QueueUse use_minimum_;
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
