// Scattered slots: a gang that must be on one node starts after a worker of another job has moved, over a
// head that is killed meanwhile.
#include <fstream>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr int kEpochs = 40;

using Relocation = TwoNodes;

TEST_F(Relocation, AGangForOneNodeStartsAfterAWorkerOfAnotherJobHasMovedWithItsWork) {
  const auto write = [&](const std::string& name, int epochs, int min) {
    return write_job(cluster_.path() / "data" / name, name, epochs, min, 2);
  };
  const auto alone = cluster_.submit_job(write("alone", kEpochs, 1));
  ASSERT_TRUE(cluster_.wait_for_state(alone, "SUCCEEDED")) << cluster_.logs();
  const auto weights = cluster_.exported_weights(alone);
  const auto a = cluster_.submit_job(write("a", kEpochs, 1));
  ASSERT_TRUE(wait_until([&] { return workers_on(a, "node-1") + workers_on(a, "node-2") == 2; }));
  const auto b = cluster_.submit_job(write("b", kEpochs, 1));
  ASSERT_TRUE(wait_until([&] {  // they need not have begun
    const auto now = cluster_.status(b);
    return now.is_object() && now.at("workers").size() == 2;
  })) << cluster_.logs();
  ASSERT_TRUE(workers_on(a, "node-1") == 2 || workers_on(a, "node-2") == 2) << cluster_.logs();

  const auto file = write("gang", 2, 2);
  std::ofstream(file, std::ios::app) << "placement: same_node\npriority: critical\n";
  const auto planned = cluster_.json({"plan", "-f", file.string()});
  ASSERT_TRUE(planned.is_object()) << cluster_.logs();
  EXPECT_EQ(planned.at("shrinks").size(), 2U) << planned;
  ASSERT_EQ(planned.at("moves").size(), 1U) << planned;
  EXPECT_TRUE(planned.at("preemptions").empty()) << planned;
  const std::string moves = planned.at("moves")[0].at("job"), from = planned.at("moves")[0].at("from");
  EXPECT_NE(planned.at("reasons").dump().find("a worker of job " + moves + " moves from node " + from),
            std::string::npos)
      << planned;

  const auto gang = cluster_.submit_job(file);
  const std::string why = "makes room for job " + gang + " on node " + from;
  ASSERT_TRUE(wait_until([&] {
    return cluster_.submit({"events", moves}).out.find(why) != std::string::npos;
  }));
  kill_head_and_start_another();
  ASSERT_TRUE(cluster_.wait_for_step(gang, 1)) << cluster_.logs();
  EXPECT_EQ(generations(gang).size(), 1U);
  for (const auto& job : {gang, a, b}) EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << job;
  for (const auto& job : {a, b}) {
    const auto events = cluster_.submit({"events", job}).out;
    EXPECT_EQ(cluster_.status(job).at("restarts"), 0);
    EXPECT_EQ(events.find("PREEMPTED"), std::string::npos) << events;
    EXPECT_EQ(events.find(why) != std::string::npos, job == moves) << events;
    EXPECT_TRUE(cluster_.exported_weights(job) == weights) << cluster_.logs();
  }
}

}  // namespace
}  // namespace ds::tests
