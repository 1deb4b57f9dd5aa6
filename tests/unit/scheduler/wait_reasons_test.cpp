// What a job that waits is told, where several things could be in its way.
#include "scheduler/policy/wait_reasons.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/spec/tenant_file.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace ds::scheduler {
namespace {

using testing::ClusterModel;
using testing::codes_of;
using testing::text_of;
using Codes = std::vector<std::string>;

class WaitReasons : public ::testing::Test {
 protected:
  void use(std::string_view text) { cluster_.tenants = std::get<TenantTree>(parse_tenant_file(text)); }
  void add(const std::string& job, const std::string& tenant, WorkerCount workers) {
    cluster_.add_job(job, workers);
    cluster_.demands.back().tenant = tenant;
  }
  ClusterModel cluster_;
};

TEST_F(WaitReasons, BlameNobodyWhoDoesNotLendWhenAllSlotsAreUsed) {
  use("tenants: {a: {guaranteed: 4, lending_limit: 2}, b: {guaranteed: 4}, c: {}}");
  cluster_.add_node("n", 16);
  add("of a", "a", {4, 4});
  add("of c", "c", {12, 12});
  cluster_.settle();
  ASSERT_EQ(cluster_.leases.size(), 16U);
  add("waits", "c", {3, 3});
  EXPECT_EQ(codes_of(cluster_.plan(), "waits"), Codes{"no_capacity_now"});
  cluster_.end_job("of a");
  EXPECT_EQ(
      text_of(cluster_.plan(), "waits"),
      "needs 3 slots, and of 16 slots 12 are used and others are kept for tenants that do not lend them");
}

}  // namespace
}  // namespace ds::scheduler
