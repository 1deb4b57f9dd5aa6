// What /metrics says of served models: Prometheus' own checker has nothing against it, and the stages explain
// the requests' time.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "tests/integration/served_slowly.hpp"

namespace ds::tests {
namespace {

class ServeMetrics : public ServedSlowly {
 protected:
  std::string metrics() const {
    const auto answer = client().Get("/metrics");
    return answer ? answer->body : "";
  }
};

/// The sum of a metric's samples whose labels contain a text; below 0: there is none.
double sum_of(const std::string& metrics, const std::string& name, const std::string& label = "") {
  double sum = -1;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    const auto brace = line.find('{'), end = line.rfind("} ");
    if (end == std::string::npos || line.substr(0, brace) != name) continue;
    if (line.substr(brace, end - brace).find(label) == std::string::npos) continue;
    sum = std::max(sum, 0.0) + std::stod(line.substr(end + 2));
  }
  return sum;
}

TEST_F(ServeMetrics, HaveStagesThatAddUpToTheRequestsTime) {
  constexpr int kRequests = 25;
  // Each waits for others that don't come.
  constexpr double kDelay = 0.005;
  ASSERT_NO_FATAL_FAILURE(serve_slowly(20, "", "{mode: fixed, max_size: 8, max_delay: 5ms}"));
  auto http = keeping_client();
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < kRequests; ++i) ASSERT_EQ(ask(http, i % 2 == 0 ? "calm" : "").status, 200);
  const double clients = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const auto text = metrics();
  const double whole = sum_of(text, "ds_infer_seconds_sum");
  double stages = 0;
  for (const char* stage : {"parse", "queue", "batch_wait", "compute", "serialize", "rest"}) {
    const auto label = std::string("stage=\"") + stage + "\"";
    EXPECT_EQ(sum_of(text, "ds_infer_stage_seconds_count", label), kRequests) << stage;
    const double seconds = sum_of(text, "ds_infer_stage_seconds_sum", label);
    EXPECT_GE(seconds, 0) << stage;
    stages += seconds;
  }
  EXPECT_EQ(sum_of(text, "ds_infer_seconds_count"), kRequests) << text;
  EXPECT_NEAR(stages, whole, 1e-6) << "rounding of nanoseconds is all that they may differ by";
  EXPECT_NEAR(stages, sum_of(text, "ds_infer_stage_seconds_sum"), 1e-9) << "there is no other stage";
  EXPECT_LT(whole, clients) << "they waited for nothing else";
  const double compute = sum_of(text, "ds_infer_stage_seconds_sum", "stage=\"compute\"");
  const double rest = sum_of(text, "ds_infer_stage_seconds_sum", "stage=\"rest\"");
  EXPECT_GT(compute, clients / 2) << "this model costs much more than the way to it" << text;
  const double waited = sum_of(text, "ds_infer_stage_seconds_sum", "stage=\"batch_wait\"");
  const double in_line = sum_of(text, "ds_infer_stage_seconds_sum", "stage=\"queue\"");
  EXPECT_GE(waited, kRequests * kDelay) << text;
  EXPECT_EQ(in_line, 0) << "a replica was there";
  EXPECT_LT(rest, whole / 4) << "what no stage has measured" << text;
}

/// Prometheus' own checker; empty: there is none.
std::string promtool() {
  if (std::filesystem::exists(program("promtool"))) return program("promtool");
  return run_program({"/bin/sh", "-c", "command -v promtool"}).code == 0 ? "promtool" : "";
}

TEST_F(ServeMetrics, AreCleanForPrometheusOwnChecker) {
  const auto checker = promtool();
  if (checker.empty()) GTEST_SKIP() << "needs promtool: tests/fetch_promtool " << program("");
  const auto check = [&](const std::string& when) {
    std::ofstream(cluster_.path() / "metrics.txt") << metrics();
    const auto checked = run_program(
        {"/bin/sh", "-c", checker + " check metrics < " + (cluster_.path() / "metrics.txt").string()});
    EXPECT_EQ(checked.code, 0) << when << ": " << checked.err << metrics();
    EXPECT_EQ(checked.out + checked.err, "") << when;
  };
  check("nothing is served");
  ASSERT_NO_FATAL_FAILURE(serve_slowly(1, ""));
  check("nobody has asked");
  auto http = keeping_client();
  for (int i = 0; i < 5; ++i) ASSERT_EQ(ask(http, "").status, 200);
  EXPECT_EQ(http.Post("/v2/models/answers/infer", "{}", "application/json")->status, 400);
  check("it has answered");
}

}  // namespace
}  // namespace ds::tests
