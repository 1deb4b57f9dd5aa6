// Workers that have a part of a slot (`resources: {cpus: 0.5}`), on real processes.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

class PartsOfSlots : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.start_head();
    cluster_.start_node("node-1", 2);
    ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  }

  /// A program that runs until the file `NAME.end` is there.
  std::string submit(const std::string& name, const std::string& cpus) {
    const auto file = cluster_.path() / (name + ".yaml");
    std::ofstream(file) << "version: 1\nkind: command\nname: " << name << "\nresources: {cpus: " << cpus
                        << ", memory: 16Mi}\n"
                        << "run: while [ ! -e " << name << ".end ]; do sleep 0.1; done\n";
    return cluster_.submit_job(file);
  }
  void end(const std::string& name) const { std::ofstream(cluster_.path() / (name + ".end")) << "\n"; }
  bool node_has(double slots) const {
    return wait_until([&] {
      const auto nodes = cluster_.json({"nodes"});
      return nodes.is_array() && nodes.size() == 1 && nodes.at(0).at("slots_used") == slots;
    });
  }

  Cluster cluster_;
};

TEST_F(PartsOfSlots, RunSideBySideUntilNoThousandthIsLeftAlsoAfterTheHeadHasDied) {
  std::vector<std::string> jobs;
  for (const auto* name : {"a", "b", "c"}) jobs.push_back(submit(name, "0.5"));
  jobs.push_back(submit("d", "500m"));
  for (const auto& job : jobs) ASSERT_TRUE(cluster_.wait_for_state(job, "RUNNING")) << cluster_.logs();
  EXPECT_TRUE(node_has(2));
  EXPECT_NE(cluster_.submit({"nodes"}).out.find("  2/2  "), std::string::npos);

  const auto small = submit("small", "0.01");
  const auto why = [&] { return cluster_.submit({"why", small}).out; };
  const std::string numbers =
      "needs 1 worker of 0.01 slots and 16Mi at once, and 0 fit now: 0 of 2 slots are free";
  EXPECT_TRUE(wait_until([&] { return why().find(numbers) != std::string::npos; })) << why();

  cluster_.head().kill_and_wait();
  cluster_.start_head();
  ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  EXPECT_TRUE(node_has(2)) << "the journal says who has which half";
  EXPECT_EQ(cluster_.status(small).at("state"), "QUEUED");
  std::set<int> pids;
  for (const auto& job : jobs) {
    EXPECT_EQ(cluster_.status(job).at("restarts"), 0) << cluster_.logs();
    for (const int pid : cluster_.worker_pids(job)) pids.insert(pid);
  }
  EXPECT_EQ(pids.size(), 4U) << cluster_.logs();

  end("a");
  ASSERT_TRUE(cluster_.wait_for_state(jobs.at(0), "SUCCEEDED")) << cluster_.logs();
  ASSERT_TRUE(cluster_.wait_for_state(small, "RUNNING")) << cluster_.logs();
  EXPECT_TRUE(node_has(1.51)) << cluster_.json({"nodes"});
  EXPECT_NE(cluster_.submit({"nodes"}).out.find("1.51/2"), std::string::npos);
  const auto large = submit("large", "0.5");  // 0.49 are free
  const auto plan = cluster_.submit({"why", large}).out;
  EXPECT_NE(plan.find("0.49 of 2 slots are free"), std::string::npos) << plan;
  end("small");
  ASSERT_TRUE(cluster_.wait_for_state(large, "RUNNING")) << cluster_.logs();
  EXPECT_TRUE(node_has(2));
  for (const auto* name : {"b", "c", "d", "large"}) end(name);
  for (const auto& job : jobs) EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(large, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(node_has(0));
}

}  // namespace
}  // namespace ds::tests
