// Jobs whose batches come from data shards: the same weights to the bit as without, whatever happens to
// these.
//
// DS_SHARD_KILLS says how often a shard is killed (10); with 100 it is the measurement that the time to the
// next step is reported from.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <random>
#include <regex>

#include "actors/gateway/http_server.hpp"
#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::uint64_t kills() {
  return number_of("DS_SHARD_KILLS", 10);
}

/// So long that the job still runs at the last kill, or stop, on a machine that has nothing else to do.
int epochs() {
  return static_cast<int>(std::max<std::uint64_t>(kills(), 40));
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The job of `write_job` with so many data shards.
std::filesystem::path write_shard_job(const std::filesystem::path& folder, int shards) {
  const auto file = write_job(folder, "intents", epochs(), 1, 4);
  auto text = read_file(file);
  text.insert(text.find("  transforms:"), "  shards: " + std::to_string(shards) + "\n");
  std::ofstream(file, std::ios::binary) << text;
  return file;
}

/// Like `Cluster::wait_for_state`, for jobs that take longer the more is killed.
bool succeeds(const Cluster& cluster, const std::string& job) {
  return wait_until(
      [&] {
        const auto now = cluster.status(job);
        return now.is_object() && now.at("state") == "SUCCEEDED";
      },
      std::chrono::seconds(400));
}

/// The weights of a job without shards that nobody disturbed, computed once for all tests of this process.
const std::string& weights_without_shards() {
  static const std::string weights = [] {
    Cluster cluster;
    cluster.start_head();
    cluster.start_node("node-1", 1);
    const auto job = cluster.submit_job(write_shard_job(cluster.path() / "data", 0));
    EXPECT_TRUE(succeeds(cluster, job)) << cluster.logs();
    return cluster.exported_weights(job);
  }();
  return weights;
}

class DataShards : public TwoNodes {
 protected:
  void submit(int shards) {
    job_ = cluster_.submit_job(write_shard_job(cluster_.path() / "data", shards));
    ASSERT_TRUE(cluster_.wait_for_step(job_, 1)) << cluster_.logs();
  }

  /// What the head says now, without a program in between.
  nlohmann::json view() const {
    const auto response =
        gateway::http_get(cluster_.address(), "/api/v1/jobs/" + job_, std::chrono::seconds(10));
    return response ? nlohmann::json::parse(response->body, nullptr, false) : nlohmann::json();
  }
  std::uint64_t step() const {
    const auto now = view();
    return now.is_object() ? now.at("step").get<std::uint64_t>() : 0;
  }
  std::vector<int> shard_pids() const {
    std::vector<int> pids;
    const auto now = view();
    if (!now.is_object()) return pids;
    for (const auto& role : now.at("roles")) {
      if (role.at("role") == "shard" && role.at("pid").is_number()) pids.push_back(role.at("pid"));
    }
    return pids;
  }
  std::size_t trainers() const {
    std::size_t count = 0;
    const auto now = view();
    if (!now.is_object()) return 0;
    for (const auto& worker : now.at("workers")) count += worker.at("state") == "TRAINING" ? 1 : 0;
    return count;
  }

  /// Does something and counts the milliseconds until the second report of a step after it (the first may be
  /// of steps before it), so many times; sorted, and fewer once a minute did not do.
  std::vector<double> times_to_news(std::uint64_t count, const std::function<void()>& act) {
    std::vector<double> times;
    for (std::uint64_t i = 0; i < count && !HasFatalFailure(); ++i) {
      act();
      const auto begin = steady_clock::now();
      std::uint64_t before = step();
      for (int news = 0; news < 2;) {
        if (steady_clock::now() > begin + std::chrono::seconds(60)) return times;
        const auto now = step();
        news += now > before ? 1 : 0;
        before = now;
      }
      times.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count());
    }
    std::ranges::sort(times);
    return times;
  }

  /// Batches that came from shards, by what the workers said last.
  std::uint64_t from_shards() const {
    static const std::regex kSaid("\\[worker ([0-9]+)\\].* ([0-9]+) batches came from data shards");
    std::map<std::string, std::uint64_t> said;
    std::istringstream log(cluster_.submit({"logs", job_}).out);
    for (std::string line; std::getline(log, line);) {
      std::smatch match;
      if (std::regex_search(line, match, kSaid)) said[match[1]] = std::stoull(match[2]);
    }
    std::uint64_t all = 0;
    for (const auto& [worker, count] : said) all += count;
    return all;
  }

  void expect_same_bits() {
    ASSERT_TRUE(succeeds(cluster_, job_)) << cluster_.logs();
    const auto weights = cluster_.exported_weights(job_);
    ASSERT_FALSE(weights.empty());
    EXPECT_TRUE(weights == weights_without_shards()) << "seed " << seed_ << cluster_.logs();
    EXPECT_GT(from_shards(), 0U) << "no shard was used" << cluster_.logs();
  }

  std::string job_;
};

TEST_F(DataShards, ServeAJobThatEndsWithTheSameBitsAsOneWithout) {
  submit(2);
  ASSERT_TRUE(wait_until([&] { return shard_pids().size() == 2; })) << cluster_.logs();
  expect_same_bits();
  EXPECT_TRUE(wait_until([&] { return shard_pids().empty(); })) << "a shard outlived its job";
}

TEST_F(DataShards, AreKilledAtRandomMomentsAndTheJobHardlyStops) {
  submit(2);
  ASSERT_TRUE(wait_until([&] { return trainers() == 4 && shard_pids().size() == 2; })) << cluster_.logs();
  const std::vector<double> undisturbed = times_to_news(10, [] {});
  const std::vector<double> times = times_to_news(kills(), [&] {
    const auto from = step() + random_() % 30;
    ASSERT_TRUE(wait_until([&] { return step() >= from && !shard_pids().empty(); })) << cluster_.logs();
    const auto pids = shard_pids();
    if (!pids.empty()) kill(pids[random_() % pids.size()], SIGKILL);
  });
  EXPECT_EQ(view().at("state"), "RUNNING") << "it was over too early to be disturbed";
  EXPECT_EQ(view().at("generation"), 1) << "a dead shard is no reason to form the gang anew";
  ASSERT_EQ(times.size(), kills()) << "training stands" << cluster_.logs();
  const double usual = undisturbed[undisturbed.size() / 2], p95 = times[times.size() * 95 / 100];
  std::cout << times.size() << " shards killed; until the second report of a step: median "
            << times[times.size() / 2] << " ms, 95th percentile " << p95 << " ms, worst " << times.back()
            << " ms; without a kill " << usual << " ms\n";
  EXPECT_LT(p95, 5 * usual) << "seed " << seed_;  // a second, where reports come every 100 ms
  expect_same_bits();
}

TEST_F(DataShards, MayStandStillForAWhile) {
  submit(2);
  ASSERT_TRUE(wait_until([&] { return shard_pids().size() == 2; })) << cluster_.logs();
  for (int round = 0; round < 3; ++round) {
    const auto pids = shard_pids();
    ASSERT_FALSE(pids.empty()) << cluster_.logs();
    const int stopped = pids[random_() % pids.size()];
    kill(stopped, SIGSTOP);
    const auto begin = steady_clock::now();
    const auto from = step();
    EXPECT_TRUE(wait_until([&] { return step() > from + 5; }))
        << "training waits for a shard that stands still";
    const auto until = begin + milliseconds(700);
    EXPECT_TRUE(wait_until([&] { return steady_clock::now() > until; }));
    kill(stopped, SIGCONT);
  }
  expect_same_bits();
}

TEST_F(DataShards, GoOnServingWhenWorkersComeAndGo) {
  submit(3);
  cluster_.node("node-2").kill_and_wait();
  cluster_.forget_node("node-2");
  ASSERT_TRUE(wait_until([&] { return trainers() == 2; })) << cluster_.logs();
  cluster_.start_node("node-3", 2);
  ASSERT_TRUE(wait_until([&] { return trainers() == 4; })) << cluster_.status(job_) << cluster_.logs();
  const auto workers = cluster_.worker_pids(job_);
  ASSERT_FALSE(workers.empty());
  kill(workers[random_() % workers.size()], SIGKILL);
  expect_same_bits();
}

TEST_F(DataShards, TellOfBadDataAsTheWorkersWould) {
  std::vector<std::string> texts;
  for (const int shards : {0, 2}) {
    const auto file = write_shard_job(cluster_.path() / "data", shards);
    // A number column that is none, far enough for batches before it.
    std::ofstream csv(cluster_.path() / "data/train.csv");
    csv << "f0,f1,topic\n";
    for (int row = 0; row < 2000; ++row)
      csv << row << ',' << (row == 1234 ? "much" : "1") << ",t" << row % 3 << '\n';
    csv.close();
    auto text = read_file(file);
    const auto data = text.find("data:");
    text.replace(
        data, text.find("batch:") - data,
        "data:\n  train: {source: train.csv, format: csv, columns: {features: [f0, f1], label: topic}}\n"
        "  shards: " +
            std::to_string(shards) + "\n");
    text = std::regex_replace(text, std::regex("zoo: text_classifier, width: 64, dropout: 0.1"), "zoo: mlp");
    std::ofstream(file, std::ios::binary) << text;
    const auto run = cluster_.submit({"run", "-f", file.string()});
    EXPECT_EQ(run.code, 100) << run.out << run.err;
    std::smatch match;
    const auto said = run.out + run.err;
    ASSERT_TRUE(std::regex_search(said, match, std::regex("train.csv:1236[^\n]*got \"much\""))) << said;
    texts.push_back(match[0]);
  }
  EXPECT_EQ(texts[0], texts[1]);
}

}  // namespace
}  // namespace ds::tests
