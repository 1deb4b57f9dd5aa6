#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/policy/capacity.hpp"
#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/wait_reasons.hpp"

namespace ds::scheduler {

/// The state of one planning: which worker goes where is decided here, which job's turn it is by the policy.
///
/// Nodes, leases and demands must outlive it. Each step keeps the promise of `Plan`: what it places fits now.
class GangPlanner {
 public:
  /// A job while the plan is made.
  struct Job {
    const Demand* demand = nullptr;
    WorkerSize size;
    std::uint32_t needed = 1;            ///< `workers.min`, at least 1
    std::uint32_t workers = 0;           ///< live ones, plus placed, minus released
    bool was_shrunk = false;             ///< lost workers in this plan
    std::vector<const Lease*> live;      ///< newest first; released ones are taken out
    std::vector<std::uint32_t> at;       ///< workers on each node
    std::uint32_t at_unknown_nodes = 0;  ///< workers on nodes that are not listed
  };

  GangPlanner(std::span<const NodeView> nodes, std::span<const Lease> leases,
              std::span<const Demand> demands);

  /// In the order of submission; the order of ids decides between equals.
  std::vector<Job>& jobs() { return jobs_; }

  /// Whether the job could have its minimum if it were alone on the available nodes.
  bool is_feasible(const Job& job) const;

  /// Places `count` workers, all or none; false when they do not fit now.
  bool place(Job& job, std::uint32_t count);

  /// Sees to it that `count` workers will fit when all that is releasing is gone, by releasing workers of
  /// stalled gangs and then those above the minimum of other jobs where necessary, and keeps that room for
  /// the job. False, and nothing changed, when even all of them would not do.
  bool make_room(const Job& job, std::uint32_t count);

  /// What the job, which waits, was compared with; `ahead`, `room_is_coming` and `releasing` are left to the
  /// caller.
  WaitFacts facts_of(const Job& job) const;
  /// Workers that hold room and are stopping, those released in this plan included.
  std::uint64_t count_releasing() const;
  void wait(const Job& job, const WaitFacts& facts);

  Plan take_plan();

 private:
  std::uint64_t count_placeable(const WorkerSize& size) const;
  std::uint64_t count_later(const WorkerSize& size) const;
  std::uint64_t count_alone(const Job& job, bool with_unavailable_nodes, const WorkerSize& size) const;
  template <class RoomOf>
  std::optional<std::size_t> choose_node(const Job& job, RoomOf room_of) const;
  Job* choose_victim(const Job& beneficiary);
  bool is_stalled_before(const Job& job, const Job& beneficiary) const;
  const Lease* newest_on_available_node(const Job& job) const;
  void drop_needless(std::vector<const Lease*>& chosen, const WorkerSize& size, std::uint32_t count);
  void release(Job& victim, const Lease& lease);
  void take_back(const Lease& lease);

  Capacity capacity_;
  std::span<const Lease> leases_;
  std::vector<Job> jobs_;
  std::map<std::string_view, std::size_t> index_;
  std::map<std::uint64_t, std::size_t> released_;  ///< worker to job
  std::set<std::string> occupants_;                ///< jobs that hold room on available nodes
  Plan plan_;
};

}  // namespace ds::scheduler
