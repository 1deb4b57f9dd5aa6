#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/policy/planner.hpp"
#include "tests/unit/scheduler/planner_follower.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

/// A cluster whose nodes come, go and change.
class ChangingNodes {
 public:
  explicit ChangingNodes(std::uint64_t seed) : random_(seed) {
    cluster = random_cluster(random_);
    has_tenants_ = seed % 2 == 1;
    if (has_tenants_) cluster.tenants = random_tenants(random_, 12);
    for (int i = 0; i < 3; ++i) join();
    settle_in();
  }

  /// What is told of it: nodes that changed, and names of those that are gone.
  struct Change {
    std::vector<NodeView> changed;
    std::vector<std::string> gone;
  };

  Change change_some_node() {
    Change change;
    const std::uint64_t how_many = below(random_, 4) == 0 ? 2 : 1;
    std::map<std::string, NodeView> before;
    for (const NodeView& node : cluster.nodes) before.emplace(node.id, node);
    for (std::uint64_t i = 0; i < how_many; ++i) change_a_node();
    std::ranges::shuffle(cluster.nodes, random_);
    for (const NodeView& node : cluster.nodes) {
      const auto known = before.find(node.id);
      if (known == before.end() || known->second != node) change.changed.push_back(node);
      if (known != before.end()) before.erase(known);
    }
    for (const auto& [id, node] : before) change.gone.push_back(id);
    return change;
  }

  /// What jobs do meanwhile.
  void go_on() {
    const auto nodes = cluster.nodes;
    cluster.carry_out(cluster.plan());
    if (below(random_, 2) == 0) disturb(cluster, random_, ++jobs_);
    cluster.nodes = nodes;
    if (cluster.demands.size() < 8) add_random_job(cluster, random_, 1000 + ++jobs_);
    settle_in();
    cluster.go_on_until(cluster.now_ms + 1000 * between(random_, 0, 40));
    if (below(random_, 3) == 0) cluster.finish_releases();
  }

  bool flips(std::uint64_t of) { return below(random_, of) == 0; }

  ClusterModel cluster;

 private:
  /// Jobs that are new have a tenant, some a promise, or a node where they crashed.
  void settle_in() {
    static constexpr std::pair<const char*, const char*> kQueues[] = {
        {"a", "default"}, {"b", "default"}, {"c", "x"}, {"c", "y"}, {"unknown", "default"}};
    for (Demand& demand : cluster.demands) {
      if (!known_.insert(demand.job).second) continue;
      if (has_tenants_) {
        const auto& [tenant, queue] = kQueues[below(random_, 20) == 0 ? 4 : below(random_, 4)];
        demand.tenant = tenant;
        demand.queue = queue;
      }
      if (below(random_, 2) == 0) add_random_curve(demand, random_);
      demand.has_promise = demand.lasts_ms > 0 && below(random_, 10) == 0;
      if (below(random_, 8) == 0 && !cluster.nodes.empty()) demand.shuns = some_node().id;
    }
  }

  NodeView& some_node() { return cluster.nodes[below(random_, cluster.nodes.size())]; }

  void join() {
    // Not in the order of names.
    cluster.add_node("n" + std::to_string(below(random_, 1000)) + "-" + std::to_string(++joined_),
                     between(random_, 1, 8), 16 * kGi);
    change_gpus(cluster.nodes.back());
  }
  void change_gpus(NodeView& node) {
    static constexpr const char* kKinds[] = {"NVIDIA H200", "NVIDIA A100-SXM4-80GB", "NVIDIA L4",
                                             "AMD MI300"};
    node.gpus = below(random_, 2) == 0 ? 0 : between(random_, 1, 4);
    node.gpu_kind = node.gpus == 0 ? "" : kKinds[below(random_, 4)];
  }
  void lose(bool with_its_leases) {
    const NodeView node = some_node();
    away_.push_back(node);
    if (with_its_leases) return cluster.lose_node(node.id);
    std::erase_if(cluster.nodes, [&](const NodeView& one) { return one.id == node.id; });
  }
  void come_back() {
    const std::size_t which = below(random_, away_.size());
    cluster.nodes.push_back(away_[which]);
    away_.erase(away_.begin() + static_cast<std::ptrdiff_t>(which));
    if (below(random_, 3) == 0) cluster.nodes.back().slots = between(random_, 0, 8);
  }
  void change_a_node() {
    if (cluster.nodes.empty() || below(random_, 7) == 0) return join();
    switch (below(random_, 7)) {
      case 0:
        return lose(true);
      case 1:
        return lose(false);
      case 2:
        return away_.empty() ? join() : come_back();
      case 3: {
        NodeView& node = some_node();
        node.available = !node.available;
        node.is_closed = !node.available && below(random_, 2) == 0;
        return;
      }
      case 4: {
        NodeView& node = some_node();
        node.slots = between(random_, 0, 8);
        node.memory_bytes = between(random_, 0, 16) * kGi;
        return;
      }
      case 5:
        return change_gpus(some_node());
      default: {  // drained: its workers leave
        NodeView& node = some_node();
        node.available = false;
        for (Lease& lease : cluster.leases) lease.releasing = lease.releasing || lease.node == node.id;
      }
    }
  }

  Random random_;
  bool has_tenants_ = false;
  std::vector<NodeView> away_;
  std::set<std::string> known_;
  int joined_ = 0, jobs_ = 0;
};

/// From which of these jobs no node keeps its minimum.
std::set<std::string> possible(const ClusterModel& cluster) {
  std::set<std::string> jobs;
  const Plan plan = cluster.plan();
  for (const Demand& demand : cluster.demands) {
    const auto codes = codes_of(plan, demand.job);
    const bool is_impossible = std::ranges::any_of(
        codes, [](const std::string& code) { return code == "never_fits" || code == "drain"; });
    if (!is_impossible) jobs.insert(demand.job);
  }
  return jobs;
}

TEST(NodeChanges, LeadToWhatWouldBePlannedFromTheWhole) {
  std::size_t placements = 0, releases = 0, preemptions = 0, waits = 0, became = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    ChangingNodes nodes(seed);
    ClusterModel& cluster = nodes.cluster;
    Follower follower(cluster.tenants);
    follower.look_at(cluster);
    auto before = possible(cluster);
    for (int step = 0; step < 20; ++step) {
      const std::string where = "seed " + std::to_string(seed) + " step " + std::to_string(step);
      nodes.go_on();
      const auto change = nodes.change_some_node();
      const bool jobs_first = nodes.flips(2);
      if (jobs_first) follower.look_at_jobs(cluster);
      if (nodes.flips(4)) {
        follower.planner().set_nodes(cluster.nodes);
      } else {
        follower.planner().change_nodes(change.changed, change.gone);
      }
      if (!jobs_first) follower.look_at_jobs(cluster);
      expect_the_same(cluster, follower.planner(), where);
      if (HasFailure()) return;
      Planner fresh(cluster.tenants);  // told in another order
      for (const Demand& demand : cluster.demands) {
        std::vector<Lease> leases;
        std::ranges::copy_if(cluster.leases, std::back_inserter(leases),
                             [&](const Lease& lease) { return lease.job == demand.job; });
        fresh.set_job(demand.job, demand, std::move(leases));
      }
      fresh.set_nodes(cluster.nodes);
      const auto now = possible(cluster);
      for (const Demand& demand : cluster.demands) {
        EXPECT_EQ(follower.planner().could_ever_start(demand.job), fresh.could_ever_start(demand.job))
            << where << ": " << demand.job;
        became += before.contains(demand.job) != now.contains(demand.job);
      }
      if (HasFailure()) return;
      before = now;
      const Plan plan = cluster.plan();
      placements += plan.placements.size();
      releases += plan.releases.size();
      preemptions += plan.preemptions.size();
      waits += plan.waits.size();
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(placements, 5000U);
  EXPECT_GT(releases, 2000U);
  EXPECT_GT(preemptions, 100U);
  EXPECT_GT(waits, 20'000U);
  EXPECT_GT(became, 5000U);
}

TEST(NodeChanges, SayNothingOfTheOrderInWhichEqualNodesCame) {
  for (const bool is_reversed : {false, true}) {
    ClusterModel cluster;
    for (int i = 0; i < 12; ++i) cluster.add_node("n" + std::to_string(is_reversed ? 11 - i : i), 2);
    cluster.add_job("a", {3, 3});
    EXPECT_EQ(cluster.plan().placements, (std::vector<Placement>{{"a", "n0", 2}, {"a", "n1", 1}}));
  }
}

}  // namespace
}  // namespace ds::scheduler
