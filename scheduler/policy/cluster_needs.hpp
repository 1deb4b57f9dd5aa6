#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "scheduler/policy/empty_nodes.hpp"
#include "scheduler/policy/gang_job.hpp"

namespace ds::scheduler {

/// What jobs need of the cluster to be possible at all (`GangJob::least_fitting`, `least_total`), and what it
/// had when that was looked at last: when it changes only those are looked at to whom it makes a difference.
class ClusterNeeds {
 public:
  /// They must outlive this.
  explicit ClusterNeeds(const EmptyNodes& nodes) : nodes_(nodes) {}

  /// Whether the cluster had what the job needs when it was looked at last.
  bool add(GangJob& job);
  void remove(GangJob& job);

  /// Looks at the nodes again, if they have changed, and at the slots and GPUs that there are; the jobs for
  /// which something is enough now that was not, or the other way round.
  std::vector<GangJob*> look_again(const Room& total);

 private:
  /// Size of worker, and whether all must be on one node.
  using Group = std::pair<WorkerSize, bool>;
  template <class Needed>
  using ByNeed = std::map<Needed, std::unordered_set<GangJob*>>;
  struct Needs {
    std::uint64_t fitting = 0;  ///< when it was looked at
    ByNeed<std::uint64_t> jobs = {};
  };
  template <class Needed>
  static void take_out(ByNeed<Needed>& jobs, const Needed& needed, GangJob& job);
  template <class Needed>
  static void find_between(const ByNeed<Needed>& jobs, const Needed& before, const Needed& after,
                           std::vector<GangJob*>& found);
  static Group group_of(const GangJob& job);
  std::uint64_t fitting(const Group& group) const;

  const EmptyNodes& nodes_;
  std::map<Group, Needs> groups_;
  std::uint64_t changes_ = 0;  ///< of the nodes, when they were looked at
  Room total_;                 ///< likewise
  ByNeed<SlotCount> by_slots_;
  ByNeed<std::uint64_t> by_gpus_;
};

}  // namespace ds::scheduler
