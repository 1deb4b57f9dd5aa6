#include "actors/serving/metrics_text.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <vector>

namespace ds::serving {
namespace {

ModelMetrics a_model() {
  ModelMetrics model{"intents", 3, 2, 1, 0, 7, {}};
  StageTimes times;
  times[Stage::queue] = 3'000'000;
  times[Stage::compute] = 40'000'000;
  model.statistics.stages.record(times, 50'000'000);
  model.statistics.model.record_success(3, times, 1);
  model.statistics.model.record_failure(1, FailureCause::overload);
  model.statistics.model.record_batch(3, 40'000'000);
  model.statistics.model.record_batch(2'000, 40'000'000);
  model.statistics.released[static_cast<std::size_t>(Release::idle)] = 2;
  model.statistics.elements = {30, 10};
  return model;
}

/// The samples, by name and labels.
std::map<std::string, double> samples_of(const std::string& text) {
  std::map<std::string, double> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const auto blank = line.rfind(' ');
    EXPECT_TRUE(samples.emplace(line.substr(0, blank), std::stod(line.substr(blank + 1))).second)
        << "twice: " << line;
  }
  return samples;
}

TEST(MetricsText, SaysReplicasRequestsBatchesAndStages) {
  const std::vector<ModelMetrics> models{a_model()};
  auto samples = samples_of(metrics_text(models));
  EXPECT_EQ(samples.at("ds_replicas{model=\"intents\",version=\"3\",state=\"ready\"}"), 2);
  EXPECT_EQ(samples.at("ds_replicas{model=\"intents\",version=\"3\",state=\"starting\"}"), 1);
  EXPECT_EQ(samples.at("ds_infer_ongoing{model=\"intents\"}"), 7);
  EXPECT_EQ(samples.at("ds_infer_requests_total{model=\"intents\",version=\"3\",outcome=\"success\"}"), 1);
  EXPECT_EQ(samples.at("ds_infer_requests_total{model=\"intents\",version=\"3\",outcome=\"failure\"}"), 1);
  EXPECT_EQ(samples.at("ds_infer_failures_total{model=\"intents\",version=\"3\",cause=\"overload\"}"), 1);
  EXPECT_EQ(samples.at("ds_infer_failures_total{model=\"intents\",version=\"3\",cause=\"timeout\"}"), 0);
  EXPECT_EQ(samples.at("ds_infer_batch_size_bucket{model=\"intents\",version=\"3\",le=\"2\"}"), 0);
  EXPECT_EQ(samples.at("ds_infer_batch_size_bucket{model=\"intents\",version=\"3\",le=\"4\"}"), 1);
  EXPECT_EQ(samples.at("ds_infer_batch_size_bucket{model=\"intents\",version=\"3\",le=\"+Inf\"}"), 2);
  EXPECT_EQ(samples.at("ds_infer_batch_size_count{model=\"intents\",version=\"3\"}"), 2);
  EXPECT_EQ(samples.at("ds_infer_batch_released_total{model=\"intents\",version=\"3\",reason=\"idle\"}"), 2);
  EXPECT_EQ(
      samples.at(
          "ds_infer_stage_seconds_bucket{model=\"intents\",version=\"3\",stage=\"queue\",le=\"0.0025\"}"),
      0);
  EXPECT_EQ(
      samples.at(
          "ds_infer_stage_seconds_bucket{model=\"intents\",version=\"3\",stage=\"queue\",le=\"0.005\"}"),
      1);
  EXPECT_EQ(samples.at("ds_infer_input_elements_total{model=\"intents\",version=\"3\",kind=\"real\"}"), 30);
  EXPECT_EQ(samples.at("ds_infer_input_elements_total{model=\"intents\",version=\"3\",kind=\"padding\"}"),
            10);
  auto plain = a_model();
  plain.statistics.elements = {};
  EXPECT_EQ(metrics_text(std::vector{plain}).find("input_elements"), std::string::npos)
      << "nothing is padded";
  for (const char* stage : {"parse", "queue", "batch_wait", "compute", "serialize", "rest"}) {
    EXPECT_TRUE(samples.contains(
        std::string("ds_infer_stage_seconds_count{model=\"intents\",version=\"3\",stage=\"") + stage + "\"}"))
        << stage;
  }
  double stages = 0;
  for (const auto& [name, value] : samples) {
    if (name.starts_with("ds_infer_stage_seconds_sum")) stages += value;
  }
  EXPECT_NEAR(stages, 0.05, 1e-12);
  EXPECT_NEAR(samples.at("ds_infer_seconds_sum{model=\"intents\",version=\"3\"}"), 0.05, 1e-12);
}

TEST(MetricsText, KeepsEachFamilyTogetherBehindItsType) {
  std::vector<ModelMetrics> models{a_model(), a_model()};
  models.back().name = "other";
  std::istringstream lines(metrics_text(models));
  std::set<std::string> families;
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(families.insert(family).second) << family << " begins twice";
    } else if (line.starts_with("# TYPE ")) {
      EXPECT_EQ(line.substr(7, line.find(' ', 7) - 7), family);
    } else {
      EXPECT_TRUE(line.starts_with(family)) << line << " stands in " << family;
    }
  }
  EXPECT_EQ(families.size(), 9U);
}

}  // namespace
}  // namespace ds::serving
