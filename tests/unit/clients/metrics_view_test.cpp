#include "clients/metrics_view.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

using nlohmann::json;

const std::vector<Sample>& samples() {
  static const auto all = read_exposition(
      "# TYPE ds_infer_ongoing gauge\nds_infer_ongoing{model=\"answers\"} 3\nds_infer_ongoing{model=\"b\"} "
      "4\n"
      "# TYPE ds_infer_seconds histogram\n"
      "ds_infer_seconds_bucket{model=\"answers\",le=\"+Inf\"} 4\n"
      "ds_infer_seconds_sum{model=\"answers\"} 0.5\nds_infer_seconds_count{model=\"answers\"} 4\n");
  return all;
}

json a_job() {
  return json::parse(R"({"id": "t-1", "name": "t", "kind": "train", "state": "RUNNING", "step": 7, "epoch": 1,
    "total_steps": 70, "generation": 2, "restarts": 0, "tenant": "nlp", "workers": [{}, {}],
    "metrics": {"loss": 0.25, "samples_per_s": 1000, "phase_seconds": {"forward": 0.002}},
    "speeds": [{"workers": 2, "nodes": 1, "step_seconds": 0.004}], "resize_seconds": null,
    "evaluations": [{"epoch": 1, "step": 6, "loss": 0.5, "accuracy": 0.75}]})");
}

TEST(MetricsView, HasWhatAJobMeasures) {
  const auto metrics = job_metrics(a_job(), samples());
  EXPECT_EQ(metrics.at("metrics").at("loss"), 0.25);
  EXPECT_EQ(metrics.at("workers"), 2);
  EXPECT_EQ(metrics.at("evaluations").size(), 1U);
  EXPECT_FALSE(metrics.contains("samples")) << "it serves nothing";
  EXPECT_FALSE(metrics.contains("tenant"));
  const auto text = format_job_metrics(metrics, false);
  for (const char* line : {"loss                    0.25\n", "phase_seconds.forward  0.002\n",
                           "\n      2      1         0.004      250\n", "EPOCH  STEP  LOSS  ACCURACY\n",
                           "\n    1     6   0.5      0.75\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST(MetricsView, HasTheSamplesOfTheModelThatAJobServes) {
  const json job{{"id", "answers-1"}, {"name", "answers"}, {"kind", "serve"}, {"state", "RUNNING"}};
  const auto metrics = job_metrics(job, samples());
  EXPECT_EQ(metrics.at("samples").size(), 4U);
  const auto text = format_job_metrics(metrics, false);
  EXPECT_NE(text.find("ds_infer_ongoing         model=answers      3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("ds_infer_seconds (mean)  model=answers  0.125\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("_bucket"), std::string::npos) << text;
  EXPECT_EQ(text.find("model=b"), std::string::npos) << text;
}

TEST(MetricsView, ShowsAllJobsThatMeasureSomethingAndAllSamples) {
  const json jobs = json::array({a_job(), {{"id", "q-1"}, {"state", "QUEUED"}, {"metrics", json::object()}}});
  const auto metrics = cluster_metrics(jobs, samples());
  EXPECT_EQ(metrics.at("jobs").size(), 2U);
  EXPECT_EQ(metrics.at("samples").size(), 5U);
  const auto text = format_cluster_metrics(metrics, false);
  EXPECT_NE(text.find("t-1  RUNNING     7  0.25       1000                -         -\n"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("q-1"), std::string::npos);
  EXPECT_NE(format_cluster_metrics(cluster_metrics(json::array(), {}), false).find("nothing is measured"),
            std::string::npos);
}

TEST(MetricsView, WritesNumbersThatJsonHasNotAsText) {
  const auto metrics = cluster_metrics(json::array(), read_exposition("a +Inf\nb NaN\n"));
  EXPECT_EQ(metrics.at("samples")[0].at("value"), "inf");
  EXPECT_EQ(metrics.at("samples")[1].at("value"), "nan");
}

TEST(MetricsView, StandsWhatIsNoAnswerOfAHead) {
  EXPECT_NO_THROW(format_job_metrics(job_metrics(json::object(), {}), false));
  EXPECT_NO_THROW(format_job_metrics(
      job_metrics(json::parse(R"({"evaluations": [{"loss": "x"}], "speeds": [{}]})"), {}), false));
  EXPECT_NO_THROW(format_cluster_metrics(cluster_metrics(json::array({json::object()}), {}), false));
}

}  // namespace
}  // namespace ds::clients
