// A served model and an elastic training job on a full cluster: training gives its slots up when the load
// comes and gets them back when it goes, and nothing of it shows in an answer or in the weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>

#include "tests/integration/numbered_requests.hpp"

namespace ds::tests {
namespace {

constexpr std::size_t kSlots = 4;  // of the cluster

class ServeBesideTraining : public NumberedRequests {
 protected:
  std::string submit_training(const std::string& name, std::uint64_t steps) {
    const auto file = write_job(cluster_.path() / "data" / name, name, 1, 1, kSlots);
    std::ifstream stream(file);
    std::string text(std::istreambuf_iterator<char>(stream), {});
    static const std::regex kUntil("until: .*");
    text = std::regex_replace(text, kUntil, "until: {steps: " + std::to_string(steps) + "}");
    std::ofstream(file) << text << "validate: {every: 1000000 epochs}\n";
    return cluster_.submit_job(file);
  }
  std::size_t training(const std::string& job) const {
    return workers_on(job, "node-1") + workers_on(job, "node-2");
  }
  bool trains_with(const std::string& job, std::size_t workers) const {
    return wait_until([&] { return training(job) == workers; });
  }
  /// With the workers that it has now.
  bool makes_steps(const std::string& job) const {
    const std::uint64_t now = cluster_.status(job).at("step");
    return cluster_.wait_for_step(job, now + 10);
  }
  std::string weights_after(const std::string& job, std::uint64_t step) const {
    const auto file = (cluster_.path() / "exports" / (job + ".safetensors")).string();
    const auto exported = cluster_.submit(
        {"export", job, "--format", "safetensors", "--step", std::to_string(step), "-o", file});
    EXPECT_EQ(exported.code, 0) << exported.err;
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
};

TEST_F(ServeBesideTraining, TakesItsWorkersSlotsWhenTheLoadComesAndGivesThemBack) {
  ASSERT_NO_FATAL_FAILURE(write_versions(1));
  expect_version(1);
  const auto served =
      cluster_.submit_job(write_serve("answers", model_of("file:version1.pt"),
                                      "replicas: {min: 0, max: 2}\nbatching: {mode: fixed, max_delay: 20ms}\n"
                                      "autoscale: {target: 2, down_delay: 1s, to_zero_after: 2s}\n"));
  ASSERT_TRUE(has_replicas(served, 0)) << cluster_.logs();
  const auto job = submit_training("disturbed", 10'000'000);  // longer than all that happens to it
  ASSERT_TRUE(trains_with(job, kSlots)) << "nobody asks" << cluster_.logs();
  ASSERT_TRUE(makes_steps(job)) << cluster_.logs();

  Askers askers(8, asking());
  EXPECT_TRUE(has_replicas(served, 2)) << cluster_.status(served) << cluster_.logs();
  EXPECT_TRUE(trains_with(job, kSlots - 2)) << cluster_.status(job) << cluster_.logs();
  EXPECT_TRUE(makes_steps(job)) << cluster_.logs();
  EXPECT_TRUE(askers.have_more_answers(100)) << cluster_.logs();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << cluster_.logs();

  EXPECT_TRUE(has_replicas(served, 0)) << cluster_.status(served) << cluster_.logs();
  EXPECT_TRUE(trains_with(job, kSlots)) << cluster_.status(job) << cluster_.logs();
  EXPECT_TRUE(makes_steps(job)) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job).at("restarts"), 0);
  EXPECT_EQ(cluster_.submit({"events", job}).out.find("PREEMPTED"), std::string::npos);

  const std::uint64_t after = cluster_.status(job).at("step");
  ASSERT_TRUE(wait_until([&] {  // a checkpoint of all that
    const auto now = cluster_.status(job);
    return now.is_object() && now.at("checkpoint").is_object() && now.at("checkpoint").at("step") >= after;
  })) << cluster_.logs();
  ASSERT_EQ(cluster_.submit({"cancel", job}).code, 0);
  ASSERT_TRUE(cluster_.wait_for_state(job, "CANCELLED")) << cluster_.logs();
  const auto kept = cluster_.json({"checkpoints", job});
  ASSERT_TRUE(kept.is_array() && !kept.empty()) << cluster_.logs();
  std::uint64_t last = 0;
  for (const auto& one : kept) last = std::max(last, one.at("step").get<std::uint64_t>());
  const auto alone = submit_training("alone", last);
  ASSERT_TRUE(cluster_.wait_for_state(alone, "SUCCEEDED")) << cluster_.logs();
  const auto weights = cluster_.exported_weights(alone);
  ASSERT_FALSE(weights.empty());
  EXPECT_TRUE(weights_after(job, last) == weights) << "after " << last << " steps" << cluster_.logs();
}

}  // namespace
}  // namespace ds::tests
