// Jobs whose batch grows by their gradient's noise: a function of the job alone, like their weights.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <iterator>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

class GrowingBatches : public TwoNodes {
 protected:
  /// 125 batches of 16 an epoch, which data shards make, if there are any.
  std::filesystem::path write_growing(const std::string& folder, int shards = 0,
                                      const std::string& strategy = "allreduce") const {
    const auto file = write_job(cluster_.path() / folder, "growing", 8, 1, 2, strategy);
    std::ifstream stream(file);
    std::string text(std::istreambuf_iterator<char>(stream), {});
    const std::string fixed = "batch: {global: 32}";
    text.replace(text.find(fixed), fixed.size(), "batch: {global: 16, max_global: 128}");
    text.insert(text.find("  transforms:"), "  shards: " + std::to_string(shards) + "\n");
    std::ofstream(file) << text << "audit: true\n";
    return file;
  }

  std::int64_t batch_of(const std::string& job) const {
    const auto now = cluster_.status(job);
    return now.is_object() ? now.at("batch").at("now").get<std::int64_t>() : 0;
  }
};

TEST_F(GrowingBatches, GrowAlikeAndEndWithTheSameWeightsWhateverBecomesOfTheirWorkers) {
  const auto disturbed = cluster_.submit_job(write_growing("disturbed", 1));
  ASSERT_TRUE(wait_until([&] { return batch_of(disturbed) > 16; })) << cluster_.logs();
  const auto pids = cluster_.worker_pids(disturbed);
  ASSERT_FALSE(pids.empty()) << "the job was over too early" << cluster_.logs();
  kill(pids[random_() % pids.size()], SIGKILL);
  const auto on_servers =
      cluster_.submit_job(write_growing("servers", 0, "parameter_server\nconsistency: sync\nservers: 2"));
  const auto alone = cluster_.submit_job(write_growing("alone"));
  ASSERT_EQ(cluster_.submit({"scale", alone, "1"}).code, 0);
  ASSERT_TRUE(wait_until([&] { return batch_of(on_servers) > 16; })) << cluster_.logs();
  const auto workers = cluster_.worker_pids(on_servers);
  ASSERT_FALSE(workers.empty()) << "the job was over too early" << cluster_.logs();
  kill(workers[random_() % workers.size()], SIGKILL);
  for (const auto& job : {disturbed, on_servers, alone})
    ASSERT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();

  for (const auto& job : {disturbed, on_servers})
    EXPECT_EQ(cluster_.status(job).at("restarts"), 1) << cluster_.logs();
  const auto weights = cluster_.exported_weights(alone);
  ASSERT_FALSE(weights.empty());
  EXPECT_TRUE(cluster_.exported_weights(disturbed) == weights) << "seed " << seed_ << cluster_.logs();
  EXPECT_TRUE(cluster_.exported_weights(on_servers) == weights) << "seed " << seed_ << cluster_.logs();
  for (const auto& job : {disturbed, on_servers, alone}) {
    const auto now = cluster_.status(job);
    EXPECT_EQ(now.at("step"), 8 * 125);
    EXPECT_EQ(now.at("evaluations").size(), 8U);
    EXPECT_EQ(now.at("batch").at("now"), cluster_.status(alone).at("batch").at("now"));
    const auto audit = cluster_.submit({"audit", job});
    EXPECT_EQ(audit.code, 0) << audit.out << audit.err;
    EXPECT_NE(audit.out.find("1000 committed steps took every sample once an epoch"), std::string::npos)
        << audit.out;
  }
  EXPECT_NE(cluster_.submit({"events", disturbed}).out.find("batch 32: from 16 to 32 samples a step"),
            std::string::npos)
      << cluster_.submit({"events", disturbed}).out;
  EXPECT_NE(cluster_.submit({"status", disturbed}).out.find(" samples a step, of 16 to 128"),
            std::string::npos)
      << cluster_.submit({"status", disturbed}).out;
}

}  // namespace
}  // namespace ds::tests
