// Urgent jobs beside others: they shrink, they are preempted with a checkpoint, and nothing of it shows in
// the weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr int kEpochs = 16;

class Priorities : public TwoNodes {
 protected:
  std::filesystem::path write(const std::string& name, int epochs, int min, int max,
                              const std::string& priority) {
    const auto file = write_job(cluster_.path() / "data" / name, name, epochs, min, max);
    std::ofstream(file, std::ios::app) << "priority: " << priority << "\n";
    return file;
  }
  std::size_t workers_of(const std::string& job) {
    const auto now = cluster_.status(job);
    if (!now.is_object()) return 0;
    return static_cast<std::size_t>(std::ranges::count(now.at("workers"), "TRAINING", [](const auto& worker) {
      return worker.at("state").template get<std::string>();
    }));
  }
  std::string codes_of(const std::string& job) {
    std::string codes;
    const auto why = cluster_.json({"why", job});
    for (const auto& reason : why.at("reasons")) codes += reason.at("code").get<std::string>() + " ";
    return codes;
  }
};

TEST_F(Priorities, AnUrgentGangShrinksOneJobPreemptsAnotherAndNeitherLosesItsWork) {
  // Beside nobody, for the weights to compare with.
  const auto alone = cluster_.submit_job(write("alone", kEpochs, 1, 2, "normal"));
  ASSERT_TRUE(cluster_.wait_for_state(alone, "SUCCEEDED")) << cluster_.logs();
  const auto weights = cluster_.exported_weights(alone);
  ASSERT_FALSE(weights.empty());

  const auto low = cluster_.submit_job(write("low", kEpochs, 2, 2, "low"));
  ASSERT_TRUE(wait_until([&] { return workers_of(low) == 2; })) << cluster_.logs();
  const auto elastic = cluster_.submit_job(write("elastic", kEpochs, 1, 2, "normal"));
  ASSERT_TRUE(wait_until([&] { return workers_of(elastic) == 2; })) << cluster_.logs();
  ASSERT_TRUE(cluster_.wait_for_step(low, 25)) << cluster_.logs();

  // Three of four slots: one comes from the elastic job, two from the preempted one.
  const auto urgent = cluster_.submit_job(write("urgent", 8, 3, 3, "critical"));
  ASSERT_TRUE(cluster_.wait_for_state(low, "PREEMPTED")) << cluster_.logs();
  const auto stopped = cluster_.status(low);
  EXPECT_FALSE(stopped.at("reason").get<std::string>().empty());
  // It waits behind the urgent job, or for its slots.
  EXPECT_FALSE(codes_of(low).empty()) << cluster_.logs();
  ASSERT_TRUE(wait_until([&] { return workers_of(urgent) == 3; })) << cluster_.logs();
  EXPECT_TRUE(wait_until([&] { return workers_of(elastic) == 1; })) << cluster_.logs();

  EXPECT_TRUE(cluster_.wait_for_state(urgent, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(low, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(elastic, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(cluster_.exported_weights(low) == weights) << cluster_.logs();
  EXPECT_TRUE(cluster_.exported_weights(elastic) == weights) << cluster_.logs();
  EXPECT_EQ(cluster_.status(low).at("restarts"), 0);

  // The operator's monitoring saw it.
  const auto metrics = cluster_.json({"metrics"});
  const auto value = [&](const std::string& name, const nlohmann::json& labels) {
    for (const auto& sample : metrics.at("samples")) {
      if (sample.at("name") == name && sample.at("labels") == labels) return sample.at("value").get<double>();
    }
    return -1.0;
  };
  EXPECT_EQ(value("ds_preemptions_total", {{"cause", "preempted"}}), 1) << metrics;
  EXPECT_EQ(value("ds_jobs", {{"kind", "train"}, {"state", "SUCCEEDED"}, {"tenant", "default"}}), 4)
      << metrics;

  // It went on from the very step at which it was stopped, which no `checkpoint.every` names but by chance.
  const auto formed = generations(low);
  ASSERT_GE(formed.size(), 2U);
  const auto logs = cluster_.logs();
  const auto step = formed.back().second;
  const bool was_checkpoint = step % 20 == 0 || step % 63 == 0;  // every 20 steps, and at the end of an epoch
  EXPECT_TRUE(was_checkpoint ||
              logs.find("step " + std::to_string(step) + " is saved; its workers leave") != std::string::npos)
      << logs;
}

}  // namespace
}  // namespace ds::tests
