#include "actors/head/cluster_metrics.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace ds::head {
namespace {

using namespace scheduler;

constexpr const char* kCommand =
    "version: 1\nkind: command\nrun: [\"true\"]\ntenant: nlp\nresources: {cpus: 2}\n";

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

class ClusterMetrics : public testing::Test {
 protected:
  void apply(Event::Body body) { ASSERT_TRUE(ledger_.apply({1'000, "test", "", std::move(body)})); }
  std::string text() const { return cluster_metrics(ledger_, nodes_, counters_, waits_); }

  Ledger ledger_;
  std::vector<NodeEntry> nodes_;
  HeadCounters counters_;
  WaitCounts waits_;
};

TEST_F(ClusterMetrics, CountJobsByKindStateAndTenant) {
  apply(JobSubmitted{"a", "", "a.yaml", "/", kCommand});
  apply(JobSubmitted{"b", "", "b.yaml", "/", kCommand});
  apply(JobSubmitted{"c", "", "c.yaml", "/", std::string(kCommand) + "depends_on: [a]\n", {"a"}});
  apply(JobStateChanged{"b", JobState::cancelled, "its owner wanted it"});
  EXPECT_TRUE(has_line(text(), R"(ds_jobs{kind="command",state="QUEUED",tenant="nlp"} 2)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_jobs{kind="command",state="CANCELLED",tenant="nlp"} 1)")) << text();
}

TEST_F(ClusterMetrics, CountJobsThatWaitByTheirFirstReasonsAndLeaveNoneOut) {
  for (const char* job : {"a", "b", "c", "d"}) apply(JobSubmitted{job, "", "a.yaml", "/", kCommand});
  apply(JobStateChanged{"d", JobState::cancelled, "its owner wanted it"});
  waits_ = {{"gpu_type", 2}};
  EXPECT_TRUE(has_line(text(), R"(ds_pending_jobs{reason="gpu_type"} 2)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_pending_jobs{reason="unknown"} 1)")) << "d has ended: " << text();
  waits_["memory"] = 1;
  EXPECT_EQ(text().find("reason=\"unknown\""), std::string::npos) << text();
}

TEST_F(ClusterMetrics, ShowWhatNodesHaveAndWhoHasIt) {
  apply(TenantsChanged{"version: 1\ntenants:\n  nlp: {guaranteed: 3, weight: 2}\n  cv: {}\n"});
  NodeEntry node;
  node.slots = 4;
  nodes_.push_back(node);
  node.state = "DRAINED";
  nodes_.push_back(node);
  apply(JobSubmitted{"a", "", "a.yaml", "/", kCommand});
  apply(LeaseGranted{1, "a", "n1", 2, 0, Role::worker, {}, 0});
  EXPECT_TRUE(has_line(text(), R"(ds_nodes{state="UP"} 1)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_nodes{state="DRAINED"} 1)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_slots{what="total"} 8)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_slots{what="used"} 2)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_tenant_slots{queue="nlp",what="used"} 2)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_tenant_slots{queue="nlp",what="guaranteed"} 3)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_tenant_slots{queue="cv",what="used"} 0)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_tenant_share_ratio{queue="nlp"} 0.25)")) << text();
  apply(LeaseGranted{2, "a", "n1", SlotCount::of_thousandths(125), 0, Role::worker, {}, 0});
  EXPECT_TRUE(has_line(text(), R"(ds_slots{what="used"} 2.125)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_tenant_slots{queue="nlp",what="used"} 2.125)")) << text();
}

TEST_F(ClusterMetrics, HistogramsAreCumulative) {
  counters_.job_wait.observe(0.05);
  counters_.job_wait.observe(1);
  counters_.job_wait.observe(1e6);
  counters_.preempted = 3;
  EXPECT_TRUE(has_line(text(), R"(ds_job_wait_seconds_bucket{le="0.1"} 1)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_job_wait_seconds_bucket{le="1"} 2)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_job_wait_seconds_bucket{le="86400"} 2)")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_job_wait_seconds_bucket{le="+Inf"} 3)")) << text();
  EXPECT_TRUE(has_line(text(), "ds_job_wait_seconds_sum 1000001.05")) << text();
  EXPECT_TRUE(has_line(text(), "ds_job_wait_seconds_count 3")) << text();
  EXPECT_TRUE(has_line(text(), R"(ds_preemptions_total{cause="preempted"} 3)")) << text();
}

}  // namespace
}  // namespace ds::head
