#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"

// What holds of every plan among tenants, whatever they have and want.

namespace ds::scheduler::testing {

/// Half of those that come are not preemptible.
void make_some_fixed(ClusterModel& cluster, const Random& random);
std::vector<SlotCount> count_used(const ClusterModel& cluster);
std::vector<std::uint64_t> count_gpus_used(const ClusterModel& cluster);
std::uint64_t count_gpus(const ClusterModel& cluster);
/// That queues are guaranteed; none of it matters where nobody is guaranteed any.
bool are_gpus_guaranteed(const TenantTree& tree);
std::uint64_t count_slots(const ClusterModel& cluster);
/// Adds what the minimums of gangs lack that have started and are not preemptible: they keep that. By queue.
void add_kept_minimums(const ClusterModel& cluster, std::vector<SlotCount>& used,
                       std::vector<std::uint64_t>& gpus);
/// No queue above what it may have, nobody in what others do not lend, no node overfull: with all that is
/// acknowledged, so stopping workers too.
void expect_quotas_kept(const ClusterModel& cluster);
void expect_fair_preemptions(const ClusterModel& cluster, const Plan& plan);
/// At rest no job that needs no GPU waits for its queue's quota of GPUs, which it would leave as it is.
void expect_gpu_quotas_keep_gpus_only(const Plan& plan, const ClusterModel& cluster);
/// At rest, with enough slots for all guarantees and what is free not scattered: nobody waits whose minimum
/// its queue could have within all guarantees above it.
/// `with_gpus`: those that need GPUs neither, which are all on one node then. Where any are guaranteed nobody
/// is behind one that waits for them: that one has them back, or would borrow them. Where none are, slots
/// alone say whose turn it is.
void expect_guarantees_met(const ClusterModel& cluster, const Plan& plan, bool with_gpus = false);
/// At rest nobody waits beside idle slots that it may have, unless somebody waits for more of them.
void expect_nothing_idle(const ClusterModel& cluster, const Plan& plan);
/// Jobs that are not preemptible and start beyond what their queue is guaranteed.
std::size_t count_fixed_that_borrow(const ClusterModel& cluster, const Plan& plan);
std::size_t count_fixed_that_wait(const Plan& plan);
/// Whatever jobs that are not preemptible have beyond what their tenants are guaranteed, others' guarantees
/// are left.
/// `with_gpus`: no more of them are guaranteed than there are.
void expect_guarantees_can_be_had_back(const ClusterModel& cluster, bool with_gpus = false);
/// Preemptions by one that needs GPUs of jobs whose side is within its guarantee of slots.
std::size_t count_gpus_had_back(const ClusterModel& cluster, const Plan& plan);

}  // namespace ds::scheduler::testing
