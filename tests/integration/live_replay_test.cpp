// What a real head decides about jobs that come and end is what the simulator says of them (`ds-sim --policy
// live`). The nodes only pretend to run programs.
#include <gtest/gtest.h>
#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>
#include <numeric>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "scheduler/simulator/report.hpp"
#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int kJobs = 40, kNodes = 8, kSlots = 2;
constexpr int kMostTries = 3;  ///< a machine that is busy elsewhere starts and ends jobs late
constexpr double kApart = 0.01;

/// A job as it was: in the simulator's seconds, which are milliseconds here.
struct Replayed {
  std::int64_t submitted = 0, started = 0, ended = 0;
  std::uint32_t workers = 1;
};

class LiveReplay : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.start_head();
    cluster_.start_pretend_nodes("many", kNodes, {"--slots", std::to_string(kSlots)});
    ASSERT_TRUE(cluster_.wait_for_nodes(kNodes)) << cluster_.logs();
    client_.emplace("http://" + cluster_.address());
    client_->set_keep_alive(true);
    client_->set_read_timeout(std::chrono::seconds(60));
  }

  void submit(int number, std::uint32_t workers) {
    const double seconds = 1 + (number * 7919 % 4001) / 1000.0;
    const json file{{"kind", "command"},  {"name", "job"},
                    {"run", {"true"}},    {"resources", {{"memory", "1Mi"}}},
                    {"workers", workers}, {"env", {{"DS_PRETEND_SECONDS", std::to_string(seconds)}}}};
    const json body{{"file", "job.json"}, {"directory", cluster_.path().string()}, {"text", file.dump()}};
    const auto answer = client_->Post("/api/v1/jobs", body.dump(), "application/json");
    ASSERT_TRUE(answer && answer->status < 300) << cluster_.logs();
    ids_[json::parse(answer->body).at("id")] = workers;
  }

  /// More come at first than there is room for, of several sizes; then all end.
  std::vector<Replayed> replay() {
    static constexpr std::uint32_t kWorkers[] = {1, 1, 2, 1, 4, 1, 2, 1, 3, 1};
    ids_.clear();
    const auto start = Clock::now();
    for (int number = 0; number < kJobs; ++number) {
      std::this_thread::sleep_until(start + number * std::chrono::milliseconds(190));
      submit(number, kWorkers[number % 10]);
    }
    std::vector<Replayed> jobs;
    const auto have_ended = [&] {
      jobs.clear();
      const auto answer = client_->Get("/api/v1/jobs");
      if (!answer || answer->status != 200) return false;
      for (const auto& job : json::parse(answer->body)) {
        const auto own = ids_.find(job.at("id"));
        if (own == ids_.end() || job.at("state") != "SUCCEEDED") continue;
        jobs.push_back({job.at("submitted_ms"), job.at("started_ms"), job.at("ended_ms"), own->second});
      }
      return jobs.size() == ids_.size();
    };
    EXPECT_TRUE(wait_until(have_ended)) << cluster_.logs();
    std::ranges::sort(jobs, {}, &Replayed::submitted);
    return jobs;
  }

  /// Of the same jobs, which come when they came and run for as long as they ran: when each starts is the
  /// scheduler's to say.
  json simulate(const std::vector<Replayed>& jobs) {
    const auto file = cluster_.path() / "jobs.csv";
    std::ofstream out(file);
    out << "timestamp,duration,num_gpus\n";
    for (const Replayed& job : jobs) {
      const auto at = job.submitted - jobs.front().submitted;
      char time[32];
      std::snprintf(time, sizeof time, "2017-10-12 %02d:%02d:%02d", static_cast<int>(at / 3600),
                    static_cast<int>(at / 60 % 60), static_cast<int>(at % 60));
      out << time << "," << job.ended - job.started << "," << job.workers << "\n";
    }
    out.close();
    const auto outcome =
        run_program({program("ds-sim").string(), "--family", "philly", "--workload", file.string(),
                     "--policy", "live", "--cluster", std::to_string(kNodes) + "x" + std::to_string(kSlots),
                     "--round", "1", "--restart", "0", "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(outcome.out);
  }

  static std::map<std::string, double> figures_of(const std::vector<Replayed>& jobs) {
    std::vector<double> times;
    double last = 0;
    for (const Replayed& job : jobs) {
      times.push_back(static_cast<double>(job.ended - job.submitted));
      last = std::max(last, static_cast<double>(job.ended - jobs.front().submitted));
    }
    return {{"average_jct_s", std::accumulate(times.begin(), times.end(), 0.0) / kJobs},
            {"p50_jct_s", simulator::percentile(times, 50)},
            {"p90_jct_s", simulator::percentile(times, 90)},
            {"p99_jct_s", simulator::percentile(times, 99)},
            {"makespan_s", last}};
  }

  Cluster cluster_;
  std::optional<httplib::Client> client_;
  std::map<std::string, std::uint32_t> ids_;  ///< with workers
};

TEST_F(LiveReplay, TakesAsLongAsTheSimulatorSaysWithinOnePercent) {
  std::ostringstream seen;
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    const auto jobs = replay();
    ASSERT_EQ(jobs.size(), static_cast<std::size_t>(kJobs));
    const auto waited =
        std::ranges::count_if(jobs, [](const Replayed& job) { return job.started - job.submitted > 500; });
    ASSERT_GE(waited, kJobs / 4) << "there is nothing to decide";
    const json simulated = simulate(jobs);
    double worst = 0;
    for (const auto& [name, live] : figures_of(jobs)) {
      const double apart = live / simulated.at(name).get<double>() - 1;
      seen << name << ": live " << live << ", simulated " << simulated.at(name) << ", " << 100 * apart
           << " %\n";
      worst = std::max(worst, std::abs(apart));
    }
    RecordProperty("worst_percent", std::to_string(100 * worst));
    if (worst <= kApart) return;
  }
  FAIL() << "more than 1 % apart, " << kMostTries << " times:\n" << seen.str() << cluster_.logs();
}

}  // namespace
}  // namespace ds::tests
