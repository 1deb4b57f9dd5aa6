#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/policy/gpu_kind.hpp"
#include "scheduler/policy/plan.hpp"

namespace ds::scheduler::testing {

/// A cluster that carries plans out, for tests: what the ledger, the nodes and the workers do together.
struct ClusterModel {
  std::vector<NodeView> nodes;
  std::vector<Lease> leases;
  std::vector<Demand> demands;
  TenantTree tenants;
  std::vector<PastUse> past;
  std::uint64_t next_worker = 1;
  std::int64_t now_ms = 0;
  bool has_parts = false;  ///< some of the random jobs that come have parts of slots

  void add_node(std::string id, std::uint32_t slots, std::uint64_t memory = 1ULL << 40) {
    nodes.push_back({std::move(id), slots, memory, true});
  }
  void add_gpu_node(std::string id, std::uint32_t slots, std::uint32_t gpus, std::string kind) {
    add_node(std::move(id), slots);
    nodes.back().gpus = gpus;
    nodes.back().gpu_kind = std::move(kind);
  }
  void add_job(std::string job, WorkerCount workers, SlotCount slots = 1, std::uint64_t memory = 0) {
    demands.push_back({std::move(job), demands.size(), workers, slots, memory, false});
  }
  void add_gpu_job(std::string job, WorkerCount workers, std::uint32_t gpus, std::string kind) {
    add_job(std::move(job), workers);
    demands.back().gpus = gpus;
    demands.back().gpu_kind = std::move(kind);
  }

  const Demand& demand(const std::string& job) const {
    return *std::find_if(demands.begin(), demands.end(), [&](const Demand& d) { return d.job == job; });
  }
  Demand& demand(const std::string& job) { return const_cast<Demand&>(std::as_const(*this).demand(job)); }
  NodeView& node(const std::string& id) {
    return *std::find_if(nodes.begin(), nodes.end(), [&](const NodeView& n) { return n.id == id; });
  }

  Plan plan() const { return plan_jobs(nodes, leases, demands, tenants, past, now_ms); }

  void carry_out(const Plan& plan) {
    for (const Release& release : plan.releases) {
      for (Lease& lease : leases) {
        if (lease.worker == release.worker) lease.releasing = true;
      }
    }
    for (const Placement& placement : plan.placements) {
      for (std::uint32_t i = 0; i < placement.count; ++i) start_worker(placement.job, placement.node);
    }
    tell_ends();
  }
  /// What the ledger tells of jobs with a time limit: it counts the time with workers alone.
  void tell_ends() {
    for (Demand& one : demands) {
      const bool runs = live(one.job) > 0;
      if (runs && one.ends_ms == 0 && one.lasts_ms > 0) one.ends_ms = now_ms + one.lasts_ms;
      if (!runs && one.ends_ms > 0) {
        one.lasts_ms = std::max<std::int64_t>(1, one.ends_ms - now_ms);
        one.ends_ms = 0;
      }
    }
  }
  /// Time goes on, and jobs end that have reached their limits.
  void go_on_until(std::int64_t moment_ms) {
    now_ms = moment_ms;
    std::vector<std::string> over;
    for (const Demand& one : demands) {
      if (one.ends_ms > 0 && one.ends_ms <= now_ms) over.push_back(one.job);
    }
    for (const std::string& job : over) end_job(job);
  }
  void start_worker(const std::string& job, const std::string& node) {
    const Demand& wanted = demand(job);
    std::set<std::uint32_t> taken;
    for (const Lease& lease : leases) {
      if (lease.node == node) taken.insert(lease.devices.begin(), lease.devices.end());
    }
    leases.push_back({next_worker++, job, node, wanted.slots, wanted.memory_bytes, false, Role::worker,
                      wanted.tenant, wanted.queue});
    leases.back().devices = choose_devices(this->node(node).gpus, taken, wanted.gpus).value();
  }
  void finish_releases() {
    std::erase_if(leases, [](const Lease& lease) { return lease.releasing; });
  }
  void lose_worker(std::uint64_t worker) {
    std::erase_if(leases, [&](const Lease& lease) { return lease.worker == worker; });
    tell_ends();
  }
  void lose_node(const std::string& id) {
    std::erase_if(leases, [&](const Lease& lease) { return lease.node == id; });
    std::erase_if(nodes, [&](const NodeView& node) { return node.id == id; });
    tell_ends();
  }
  void end_job(const std::string& job) {
    std::erase_if(leases, [&](const Lease& lease) { return lease.job == job; });
    std::erase_if(demands, [&](const Demand& d) { return d.job == job; });
  }

  /// Plans, carries out and lets releases finish until nothing changes; how many rounds it took, `limit` if
  /// more. `look` sees each plan before it is carried out.
  int settle(int limit = 100, const std::function<void(const Plan&)>& look = {}) {
    for (int round = 0; round < limit; ++round) {
      const Plan next = plan();
      if (next.releases.empty() && next.placements.empty()) return round;
      if (look) look(next);
      carry_out(next);
      finish_releases();
    }
    return limit;
  }

  /// The same with those jobs alone whose bit is set in `these`, in the order in which they were added.
  void settle_alone(unsigned these) {
    std::vector<Demand> all = demands;
    demands.clear();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if ((these >> i & 1U) != 0) demands.push_back(all[i]);
    }
    settle();
    demands = std::move(all);
  }

  std::uint32_t live(const std::string& job) const {
    return static_cast<std::uint32_t>(std::count_if(leases.begin(), leases.end(), [&](const Lease& lease) {
      return lease.job == job && !lease.releasing;
    }));
  }
  std::uint32_t live_on(const std::string& job, const std::string& node) const {
    return static_cast<std::uint32_t>(std::count_if(leases.begin(), leases.end(), [&](const Lease& lease) {
      return lease.job == job && lease.node == node && !lease.releasing;
    }));
  }
};

/// The codes of a job's reasons in a plan; empty when it does not wait.
inline std::vector<std::string> codes_of(const Plan& plan, const std::string& job) {
  std::vector<std::string> codes;
  for (const Wait& wait : plan.waits) {
    if (wait.job != job) continue;
    for (const Reason& reason : wait.reasons) codes.push_back(reason.code);
  }
  return codes;
}

/// Of a job's reasons the first one's text; empty when it does not wait.
inline std::string text_of(const Plan& plan, const std::string& job) {
  for (const Wait& wait : plan.waits) {
    if (wait.job == job) return wait.reasons.front().text;
  }
  return {};
}

}  // namespace ds::scheduler::testing
