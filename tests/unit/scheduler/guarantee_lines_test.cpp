// What is guaranteed is counted again only where a claim has changed: a planner that was told of changes
// plans what a fresh one does, however often a job was told between two plans, and of which queue.
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "scheduler/policy/trial_job.hpp"
#include "scheduler/spec/tenant_file.hpp"
#include "tests/unit/scheduler/planner_follower.hpp"

namespace ds::scheduler {
namespace {

using testing::ClusterModel;
using testing::Follower;

Demand& add_job(ClusterModel& cluster, const std::string& job, const std::string& tenant,
                std::uint32_t workers) {
  cluster.add_job(job, {workers, workers});
  cluster.demands.back().tenant = tenant;
  return cluster.demands.back();
}

/// b has borrowed all. a is guaranteed half of it, which is the first's of two jobs that wait.
class ClaimsThatChange : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.tenants = std::get<TenantTree>(
        parse_tenant_file("tenants: {a: {guaranteed: 4}, b: {guaranteed: 0}, c: {guaranteed: 2}}"));
    cluster_.add_node("n", 8);
    for (const std::string job : {"borrows", "borrows-too"}) {
      add_job(cluster_, job, "b", 4).is_young = true;  // so that the first waits
      for (int i = 0; i < 4; ++i) cluster_.start_worker(job, "n");
    }
    add_job(cluster_, "first", "a", 4);
    add_job(cluster_, "second", "a", 4);
    follower_.emplace(cluster_.tenants);
    follower_->look_at(cluster_);
    expect_the_same(cluster_, follower_->planner(), "at first");
    for (Demand& demand : cluster_.demands) demand.is_young = false;
  }

  void expect_the_second_has_it() {
    follower_->look_at(cluster_);
    expect_the_same(cluster_, follower_->planner(), "then");
    const Plan plan = follower_->planner().plan({}, cluster_.now_ms);
    ASSERT_EQ(plan.preemptions.size(), 1U);
    EXPECT_EQ(plan.preemptions[0].by, "second");
  }

  ClusterModel cluster_;
  std::optional<Follower> follower_;
};

TEST_F(ClaimsThatChange, TheFirstIsGoneAndAnotherIsToldTwiceBeforeThePlan) {
  cluster_.end_job("first");
  follower_->look_at(cluster_);
  add_job(cluster_, "new", "c", 1);
  follower_->look_at(cluster_);
  cluster_.demand("new").held = true;
  follower_->look_at(cluster_);
  expect_the_second_has_it();
}

TEST_F(ClaimsThatChange, TheFirstIsGoneAndSomebodyAsksWhatWouldBecomeOfAnother) {
  cluster_.end_job("first");
  follower_->look_at(cluster_);
  Demand draft{.job = "draft", .order = 50, .workers = {1, 1}};
  draft.tenant = "c";
  {
    TrialJob trial(follower_->planner(), draft);
    EXPECT_TRUE(follower_->planner().could_ever_start("draft"));
  }
  expect_the_second_has_it();
}

TEST_F(ClaimsThatChange, TheFirstIsAnotherTenantsAndThenGone) {
  cluster_.demand("first").tenant = "c";
  cluster_.demand("first").workers = {1, 1};
  follower_->look_at(cluster_);
  cluster_.end_job("first");
  expect_the_second_has_it();
}

}  // namespace
}  // namespace ds::scheduler
