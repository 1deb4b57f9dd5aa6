// Nodes drained under running jobs, with the head killed meanwhile: the nodes get empty, and nothing of it
// shows in the weights. And a node that comes under quarantine.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr int kEpochs = 30;
constexpr int kLong = 50;  // epochs, for what a new head does some seconds after it has started

class Drain : public TwoNodes {
 protected:
  std::string submit(const std::string& name, int epochs, int min, int max,
                     const std::string& strategy = "allreduce") {
    return cluster_.submit_job(write_job(cluster_.path() / "data" / name, name, epochs, min, max, strategy));
  }
  std::string undisturbed_weights(int max, int epochs) {
    const auto job = submit("alone", epochs, 1, max);
    EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
    return cluster_.exported_weights(job);
  }
  nlohmann::json node(const std::string& name) {
    const auto nodes = cluster_.json({"nodes"});
    if (!nodes.is_array()) return nullptr;
    for (const auto& one : nodes) {
      if (one.at("id") == name) return one;
    }
    return nullptr;
  }
  bool wait_for_node(const std::string& name, const std::string& state) {
    return wait_until([&] {
      const auto now = node(name);
      return now.is_object() && now.at("state") == state;
    });
  }
};

TEST_F(Drain, ShrinksAnElasticJobAndStaysOverAKilledHead) {
  const auto weights = undisturbed_weights(4, kLong);
  const auto job = submit("elastic", kLong, 1, 4);
  ASSERT_TRUE(wait_until([&] { return workers_on(job, "node-2") == 2; })) << cluster_.logs();
  ASSERT_TRUE(cluster_.wait_for_step(job, 5)) << cluster_.logs();

  const auto drained = cluster_.json({"drain", "node-2"});
  ASSERT_TRUE(drained.is_object()) << cluster_.logs();
  EXPECT_TRUE(drained.at("state") == "DRAINING" || drained.at("state") == "DRAINED") << drained;
  EXPECT_EQ(drained.at("reason"), "drained");
  kill_head_and_start_another();
  EXPECT_TRUE(wait_for_node("node-2", "DRAINED")) << cluster_.logs();
  EXPECT_EQ(node("node-2").at("slots_used"), 0);
  EXPECT_EQ(cluster_.submit({"drain", "node-2"}).code, 0);
  EXPECT_EQ(cluster_.submit({"drain", "node-3"}).code, 4);
  EXPECT_TRUE(wait_until([&] { return workers_on(job, "node-1") == 2; })) << cluster_.logs();
  EXPECT_NE(cluster_.submit({"nodes"}).out.find("DRAINED"), std::string::npos);

  EXPECT_EQ(cluster_.submit({"undrain", "node-2"}).code, 0);
  EXPECT_TRUE(wait_until([&] { return workers_on(job, "node-2") == 2; })) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job).at("restarts"), 0);
  EXPECT_TRUE(cluster_.exported_weights(job) == weights) << cluster_.logs();
}

TEST_F(Drain, MovesAGangThatFitsElsewhereAndStopsOneThatDoesNot) {
  const auto weights = undisturbed_weights(2, kEpochs);
  const auto job = submit("moving", kEpochs, 2, 2);
  ASSERT_TRUE(cluster_.wait_for_step(job, 25)) << cluster_.logs();
  const std::string here = workers_on(job, "node-1") == 2 ? "node-1" : "node-2";
  const std::string there = here == "node-1" ? "node-2" : "node-1";
  EXPECT_EQ(cluster_.submit({"drain", here}).code, 0);
  ASSERT_TRUE(wait_until([&] { return workers_on(job, there) == 2; })) << cluster_.logs();
  EXPECT_TRUE(wait_for_node(here, "DRAINED")) << cluster_.logs();

  // No place is left: it is saved and waits, and says for what.
  EXPECT_EQ(cluster_.submit({"drain", there}).code, 0);
  ASSERT_TRUE(cluster_.wait_for_state(job, "QUEUED")) << cluster_.logs();
  ASSERT_TRUE(wait_for_node(there, "DRAINED")) << cluster_.logs();
  const auto stopped = cluster_.status(job);
  EXPECT_EQ(stopped.at("checkpoint").at("step"), stopped.at("step")) << cluster_.logs();
  EXPECT_TRUE(wait_until([&] {
    const auto why = cluster_.json({"why", job});
    return why.is_object() && !why.at("reasons").empty() && why.at("reasons")[0].at("code") == "drain";
  })) << cluster_.json({"why", job});
  const auto why = cluster_.json({"why", job});
  EXPECT_EQ(why.at("reasons")[0].at("nodes"), (nlohmann::json{"node-1", "node-2"})) << why;
  EXPECT_NE(cluster_.submit({"why", job}).out.find("node-1, node-2 are closed (ds-submit undrain NODE"),
            std::string::npos)
      << why;
  EXPECT_EQ(cluster_.submit({"undrain", here}).code, 0);
  EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(workers_on(job, there), 0U);
  EXPECT_EQ(cluster_.status(job).at("restarts"), 0);
  EXPECT_TRUE(cluster_.exported_weights(job) == weights) << cluster_.logs();
  const auto step = stopped.at("step").get<std::uint64_t>();
  const auto formed = generations(job);
  EXPECT_TRUE(std::ranges::any_of(formed, [&](const auto& one) { return one.second == step; }))
      << cluster_.logs();
}

TEST_F(Drain, KeepsAGangWhereItIsUntilAnotherHasMadeRoom) {
  const auto moving = submit("moving", kEpochs, 1, 2);
  ASSERT_TRUE(wait_until([&] { return workers_on(moving, "node-1") + workers_on(moving, "node-2") == 2; }));
  const std::string here = workers_on(moving, "node-1") == 2 ? "node-1" : "node-2";
  const std::string there = here == "node-1" ? "node-2" : "node-1";
  const auto shrinking = submit("shrinking", kEpochs, 1, 2);
  ASSERT_TRUE(wait_until([&] { return workers_on(shrinking, there) == 2; })) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"drain", here}).code, 0);
  EXPECT_TRUE(wait_until([&] { return workers_on(moving, there) == 1; })) << cluster_.logs();
  EXPECT_EQ(workers_on(shrinking, there), 1U);
  EXPECT_TRUE(wait_for_node(here, "DRAINED")) << cluster_.logs();
  for (const auto& job : {moving, shrinking}) {
    EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
    EXPECT_EQ(cluster_.status(job).at("restarts"), 0);
  }
  const auto events = cluster_.submit({"events", moving}).out;
  EXPECT_EQ(events.find("it goes on elsewhere from the step"), std::string::npos) << "it stopped:\n"
                                                                                  << events;
  EXPECT_TRUE(cluster_.exported_weights(moving) == cluster_.exported_weights(shrinking)) << cluster_.logs();
}

TEST_F(Drain, MovesParameterServersOneAfterAnother) {
  const std::string strategy = "parameter_server\nconsistency: sync\nservers: 2\nreplicas: 1";
  const auto alone = submit("alone", kEpochs, 2, 2, strategy);
  ASSERT_TRUE(cluster_.wait_for_state(alone, "SUCCEEDED")) << cluster_.logs();
  const auto weights = cluster_.exported_weights(alone);
  const auto job = submit("served", kEpochs, 1, 2, strategy);
  ASSERT_TRUE(cluster_.wait_for_step(job, 10)) << cluster_.logs();
  ASSERT_TRUE(has_whole_servers(job)) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"drain", "node-1"}).code, 0);
  ASSERT_TRUE(wait_for_node("node-1", "DRAINED")) << cluster_.logs();
  for (const auto& role : cluster_.status(job).at("roles"))
    EXPECT_NE(role.at("node"), "node-1") << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job).at("restarts"), 0);
  EXPECT_TRUE(cluster_.exported_weights(job) == weights) << cluster_.logs();
}

/// A node whose workers all end before they can do anything.
Process start_bad_node(const Cluster& cluster, int slots) {
  const auto folder = cluster.path() / "bad";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(program("ds-node"), folder / "ds-node");
  std::ofstream(folder / "ds-actor") << "#!/bin/sh\nexit 3\n";
  std::filesystem::permissions(folder / "ds-actor", std::filesystem::perms::owner_all);
  return Process(
      {(folder / "ds-node").string(), "--head", cluster.address(), "--secret-file",
       (cluster.path() / "head/cluster.secret").string(), "--name", "bad", "--slots", std::to_string(slots)},
      cluster.path() / "bad.log");
}

TEST(Quarantine, KeepsJobsFromANodeOnWhichAllCrash) {
  Cluster cluster;
  cluster.start_head();
  const auto bad = start_bad_node(cluster, 3);  // which is filled before a larger one
  cluster.start_node("good", 4);
  ASSERT_TRUE(cluster.wait_for_nodes(2)) << cluster.logs();
  std::vector<std::string> jobs;
  for (const char* name : {"a", "b", "c"}) {
    const auto file = write_job(cluster.path() / "data" / name, name, 1, 1, 1);
    std::ofstream(file, std::ios::app) << "restart: 100\n";
    jobs.push_back(cluster.submit_job(file));
  }
  const auto is_quarantined = [&] {
    const auto nodes = cluster.json({"nodes"});
    return nodes.is_array() && !nodes.empty() && nodes[0].at("state") == "QUARANTINED";
  };
  ASSERT_TRUE(wait_until(is_quarantined)) << cluster.logs();
  const auto reason = cluster.json({"nodes"})[0].at("reason").get<std::string>();
  for (const auto& job : jobs) EXPECT_NE(reason.find(job), std::string::npos) << reason;
  cluster.head().kill_and_wait();
  cluster.start_head();
  ASSERT_TRUE(wait_until(is_quarantined)) << cluster.logs();
  for (const auto& job : jobs) EXPECT_TRUE(cluster.wait_for_state(job, "SUCCEEDED")) << cluster.logs();
  EXPECT_TRUE(is_quarantined());
  EXPECT_EQ(cluster.json({"undrain", "bad"}).at("state"), "UP");
}

/// As if a mount were broken there.
TEST(Quarantine, KeepsProgramsFromANodeOnWhichTheyFailThatEndWellElsewhere) {
  Cluster cluster;
  cluster.start_head();
  const Process bad({program("ds-node").string(), "--head", cluster.address(), "--secret-file",
                     (cluster.path() / "head/cluster.secret").string(), "--name", "bad", "--slots", "3"},
                    cluster.path() / "bad.log", {{"BROKEN_MOUNT", "1"}});
  cluster.start_node("good", 4);
  ASSERT_TRUE(cluster.wait_for_nodes(2)) << cluster.logs();
  const auto submit = [&](const std::string& name, const std::string& run) {
    const auto file = cluster.path() / (name + ".yaml");
    std::ofstream(file) << "version: 1\nkind: command\nname: " << name
                        << "\nresources: {memory: 64Mi}\nrestart: 1\nrun: " << run << "\n";
    return cluster.submit_job(file);
  };
  std::vector<std::string> jobs;
  for (const char* name : {"a", "b", "c"}) jobs.push_back(submit(name, "'test -z \"$BROKEN_MOUNT\"'"));
  const auto faulty = submit("faulty", "exit 3");
  for (const auto& job : jobs) {
    ASSERT_TRUE(cluster.wait_for_state(job, "SUCCEEDED")) << cluster.status(job) << cluster.logs();
    EXPECT_EQ(cluster.status(job).at("restarts"), 1);
  }
  EXPECT_TRUE(cluster.wait_for_state(faulty, "FAILED")) << cluster.logs();
  nlohmann::json node;
  const auto is_quarantined = [&] {
    const auto nodes = cluster.json({"nodes"});
    if (nodes.is_array() && !nodes.empty()) node = nodes[0];
    return node.is_object() && node.at("state") == "QUARANTINED";
  };
  ASSERT_TRUE(wait_until(is_quarantined)) << node << cluster.logs();
  const auto reason = node.at("reason").get<std::string>();
  for (const auto& job : jobs) EXPECT_NE(reason.find(job), std::string::npos) << reason;
  EXPECT_EQ(reason.find(faulty), std::string::npos) << reason;
}

}  // namespace
}  // namespace ds::tests
