#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

// What plans leave, counted here and not with the code under test.

namespace ds::scheduler::testing {

struct Use {
  SlotCount slots;
  std::uint64_t memory = 0;
  std::uint64_t gpus = 0;

  void add(const Lease& lease) {
    slots += lease.slots;
    memory += lease.memory_bytes;
    gpus += lease.devices.size();
  }
  void add(const Demand& demand, std::uint64_t workers) {
    slots += workers * demand.slots;
    memory += workers * demand.memory_bytes;
    gpus += workers * demand.gpus;
  }
  bool fits(const NodeView& node) const {
    return slots <= node.slots && memory <= node.memory_bytes && gpus <= node.gpus;
  }
};

/// By the names that the random clusters use.
bool has_kind(const NodeView& node, const Demand& demand);
/// Whether one of its workers could be on the node with `used` there.
bool fits_beside(const NodeView& node, Use used, const Demand& demand);
/// What a plan leaves on each node, counted here and not with the code under test.
std::map<std::string, Use> count_use(const ClusterModel& cluster, const Plan& plan);
/// Workers that could be added; of a job whose workers must be on one node, where it has some, or on the node
/// where most of them could.
std::uint64_t count_room(const ClusterModel& cluster, std::map<std::string, Use> use, const Demand& demand);
/// All the workers of its minimum as one, where they must be on one node.
Demand in_one_piece(Demand demand);
std::map<std::string, std::uint32_t> count_placed(const Plan& plan);
/// Of the job's workers, those for whom the plan starts another elsewhere.
std::uint32_t count_relocated(const Plan& plan, const std::string& job);
bool is_preempted(const Plan& plan, const std::string& job);
bool waits(const Plan& plan, const std::string& job);
/// Whether the job would have its minimum, with the workers that it has where they are, if all other jobs
/// were gone.
bool can_ever_run(const ClusterModel& cluster, const Demand& demand);
/// What is used once all releases are through, those of the plan too but for leases that `is_kept`, and all
/// that the plan starts has started. What grows in the same plan uses only what waiting jobs do not need: it
/// is left out.
std::map<std::string, Use> use_after_releases(const ClusterModel& cluster, const Plan& plan,
                                              const std::function<bool(const Lease&)>& is_kept);
/// Whether a reason of anybody's says so.
bool has_text(const Plan& plan, const std::string& text);

}  // namespace ds::scheduler::testing
