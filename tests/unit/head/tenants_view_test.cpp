#include "actors/head/views.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <variant>

#include "scheduler/spec/tenant_file.hpp"

namespace ds::head {
namespace {

using nlohmann::json;
using namespace scheduler;

constexpr const char* kText = "version: 1\nkind: command\nrun: x\ntenant: nlp\nworkers: {min: 1, max: 4}\n";

TEST(TenantsView, ShowsTheGpusThatEachQueueIsGuaranteedHasAndHasBorrowed) {
  const auto tenants = std::get<TenantTree>(
      parse_tenant_file("tenants: {nlp: {guaranteed: 1, guaranteed_gpus: 2}, vision: {guaranteed: 1}}"));
  Ledger ledger;
  const auto apply = [&](Event::Body body) { ASSERT_TRUE(ledger.apply({1, "test", "", std::move(body)})); };
  apply(JobSubmitted{"running", "", "job.yaml", "/data",
                     "version: 1\nkind: command\nrun: x\ntenant: nlp\nresources: {gpu: 3}\n"});
  LeaseGranted granted{1, "running", "node-1", 1, 0};
  granted.devices = {0, 1, 2};
  apply(granted);
  const auto view = tenants_view(tenants, ledger, {4, 1 << 20, 8}, 2);
  ASSERT_EQ(view.size(), 2U);
  EXPECT_EQ(view[0].at("guaranteed_gpus"), 2);
  EXPECT_EQ(view[0].at("gpus_used"), 3);
  EXPECT_EQ(view[0].at("borrowed_gpus"), 1);
  EXPECT_EQ(view[1].at("guaranteed_gpus"), 0);
  for (const auto& queue : view) {
    EXPECT_EQ(queue.at("guaranteed_gpus_together"), 2);
    EXPECT_EQ(queue.at("cluster_gpus"), 8);
  }
}

TEST(TenantsView, ShowsWhatEachQueueMayUseAndUses) {
  const auto tenants = std::get<TenantTree>(
      parse_tenant_file("tenants: {nlp: {guaranteed: 1, borrowing_limit: 2}, vision: {}}"));
  Ledger ledger;
  const auto apply = [&](Event::Body body) { ASSERT_TRUE(ledger.apply({1, "test", "", std::move(body)})); };
  apply(JobSubmitted{"running", "", "job.yaml", "/data", kText});
  apply(JobSubmitted{"waiting", "", "job.yaml", "/data", kText});
  apply(LeaseGranted{1, "running", "node-1", 1, 0});
  apply(LeaseGranted{2, "running", "node-1", 1, 0});
  apply(LeaseReleasing{2});
  const auto view = tenants_view(tenants, ledger, {4, 1 << 20}, 2);
  ASSERT_EQ(view.size(), 2U);
  EXPECT_EQ(view[0].at("name"), "nlp");
  EXPECT_EQ(view[0].at("guaranteed"), 1);
  EXPECT_EQ(view[0].at("borrowing_limit"), 2);
  EXPECT_EQ(view[0].at("lending_limit"), nullptr);
  EXPECT_EQ(view[0].at("used"), 2) << "a worker that is stopping counts";
  EXPECT_EQ(view[0].at("borrowed"), 1);
  EXPECT_EQ(view[0].at("share"), 0.5);
  EXPECT_EQ(view[0].at("running"), 1);
  EXPECT_EQ(view[0].at("waiting"), 1);
  EXPECT_EQ(view[1].at("used"), 0);
  for (const auto& queue : view) {
    EXPECT_EQ(queue.at("guaranteed_together"), 1);
    EXPECT_EQ(queue.at("cluster_slots"), 4);
  }
  EXPECT_EQ(view[0].at("guaranteed_gpus"), 0);
  EXPECT_EQ(view[0].at("borrowed_gpus"), 0);
  EXPECT_EQ(tenants_view({}, ledger, {4, 1 << 20}, 2).at(0).at("name"), "default");
  EXPECT_EQ(tenants_view({}, ledger, {4, 1 << 20}, 2).at(0).at("guaranteed_together"), 0);
  const auto others = std::get<TenantTree>(parse_tenant_file("tenants: {vision: {}}"));
  const auto without = tenants_view(others, ledger, {4, 1 << 20}, 2);
  ASSERT_EQ(without.size(), 2U);
  EXPECT_FALSE(without[0].contains("removed"));
  EXPECT_EQ(without[1].at("name"), "nlp");
  EXPECT_EQ(without[1].at("removed"), true);
  EXPECT_EQ(without[1].at("used"), 2);
  EXPECT_EQ(without[1].at("share"), 0.5);
  EXPECT_EQ(without[1].at("running"), 1);
  EXPECT_EQ(without[1].at("waiting"), 1);
  EXPECT_EQ(without[1].at("jobs"), json{"running"});
}

}  // namespace
}  // namespace ds::head
