#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/spec/priority.hpp"
#include "scheduler/spec/tenant_file.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler::testing {

/// A cluster that tenants share.
class TenantCluster : public ::testing::Test {
 protected:
  /// As a file of tenants has it.
  void use(std::string_view text) { cluster_.tenants = std::get<TenantTree>(parse_tenant_file(text)); }
  Demand& add(const std::string& job, const std::string& tenant, WorkerCount workers,
              std::uint32_t priority = kNormalPriority) {
    cluster_.add_job(job, workers);
    cluster_.demands.back().tenant = tenant;
    cluster_.demands.back().priority = priority;
    return cluster_.demands.back();
  }
  Demand& add(const std::string& job, const std::string& tenant, const std::string& queue,
              WorkerCount workers, std::uint32_t priority = kNormalPriority) {
    Demand& added = add(job, tenant, workers, priority);
    added.queue = queue;
    return added;
  }
  /// It has a worker on each of these nodes, as often as they are named.
  Demand& add_on(const std::vector<std::string>& nodes, const std::string& job, const std::string& tenant,
                 const std::string& queue, WorkerCount workers) {
    Demand& added = add(job, tenant, queue, workers);
    for (const std::string& node : nodes) cluster_.start_worker(job, node);
    return added;
  }

  ClusterModel cluster_;
};

}  // namespace ds::scheduler::testing
