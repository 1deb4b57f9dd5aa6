// Whatever is killed, stopped, added and taken away: what the workers recorded shows one pass over the
// samples an epoch, each sample once.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <thread>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

constexpr std::uint64_t kSamples = 2'000;  // of write_job
constexpr std::size_t kMostNodes = 3;

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class AuditedJob : public ::testing::Test {
 protected:
  void SetUp() override {
    RecordProperty("seed", std::to_string(seed_));
    cluster_.start_head();
    for (int i = 0; i < 2; ++i) add_node();
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  }

  void submit(const std::string& strategy, int shards) {
    const auto file = write_job(cluster_.path() / "data", "audited", 1'000'000, 1, 4, strategy);
    std::ifstream stream(file);
    std::string text(std::istreambuf_iterator<char>(stream), {});
    text.insert(text.find("  transforms:"), "  shards: " + std::to_string(shards) + "\n");
    std::ofstream(file) << text << "audit: true\nrestart: 1000\nvalidate: {every: 1000 epochs}\n";
    job_ = cluster_.submit_job(file);
    ASSERT_TRUE(cluster_.wait_for_step(job_, 1)) << cluster_.logs();
  }

  /// Disturbs the job so many times, lets it go on for an epoch, ends it and has it audited.
  void disturb_and_audit(std::uint64_t faults);

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void add_node() {
    nodes_.push_back("node-" + std::to_string(++last_node_));
    cluster_.start_node(nodes_.back(), 2);
  }

  void remove_node(bool kill) {
    const auto chosen = nodes_.begin() + static_cast<std::ptrdiff_t>(below(nodes_.size()));
    if (kill) {
      cluster_.node(*chosen).kill_and_wait();
    } else {
      cluster_.node(*chosen).signal(SIGTERM);
      EXPECT_EQ(cluster_.node(*chosen).wait(), 0);
    }
    cluster_.forget_node(*chosen);
    nodes_.erase(chosen);
  }

  /// SIGKILL, or SIGSTOP for two seconds. A worker that has just gone is none.
  void hurt_worker(bool stop) {
    const auto pids = cluster_.worker_pids(job_);
    if (pids.empty()) return;
    const int pid = pids[below(pids.size())];
    kill(pid, stop ? SIGSTOP : SIGKILL);
    if (!stop) return;
    std::this_thread::sleep_for(std::chrono::seconds(2));
    kill(pid, SIGCONT);
  }

  void do_something_bad() {
    const auto what = below(10);
    if (what < 4) return hurt_worker(false);
    if (what < 6) return hurt_worker(true);
    if (what < 8 && nodes_.size() < kMostNodes) return add_node();
    nodes_.size() > 1 ? remove_node(what != 8) : add_node();
  }

  std::uint64_t step() const {
    const auto now = cluster_.status(job_);
    return now.is_object() ? now.at("step").get<std::uint64_t>() : 0;
  }

  const std::uint64_t seed_ = number_of("DS_SEED", std::random_device{}());
  std::mt19937_64 random_{seed_};
  Cluster cluster_;
  std::vector<std::string> nodes_;
  int last_node_ = 0;
  std::string job_;
};

void AuditedJob::disturb_and_audit(std::uint64_t faults) {
  for (std::uint64_t fault = 0; fault < faults; ++fault) {
    do_something_bad();
    ASSERT_TRUE(cluster_.wait_for_step(job_, step() + 1 + below(60)))
        << "seed " << seed_ << " fault " << fault << cluster_.logs();
  }
  const auto end = cluster_.status(job_);
  const auto per_epoch = end.at("steps_per_epoch").get<std::uint64_t>();
  ASSERT_TRUE(cluster_.wait_for_step(job_, end.at("step").get<std::uint64_t>() + per_epoch));
  ASSERT_EQ(cluster_.submit({"cancel", job_}).code, 0);
  ASSERT_TRUE(cluster_.wait_for_state(job_, "CANCELLED")) << cluster_.logs();

  const auto committed = step();
  const auto outcome = cluster_.submit({"audit", job_, "-o", "json"});
  const auto audit = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(audit.is_object()) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.code, 0) << "seed " << seed_ << "\n" << outcome.out;
  EXPECT_GE(audit.at("steps").get<std::uint64_t>(), committed);
  std::uint64_t whole = 0;
  for (const auto& epoch : audit.at("epochs")) {
    EXPECT_EQ(epoch.at("twice"), 0) << epoch;
    if (!epoch.at("whole").get<bool>()) continue;
    ++whole;
    EXPECT_EQ(epoch.at("once"), kSamples) << epoch;
    EXPECT_EQ(epoch.at("missing"), 0) << epoch;
  }
  EXPECT_EQ(whole, audit.at("steps").get<std::uint64_t>() / per_epoch)
      << "only the last epoch may be cut off";
  EXPECT_GT(end.at("generation").get<std::uint64_t>(), faults / 3) << "the faults did not disturb the gang";
  std::printf("%llu faults, generation %llu, %llu committed steps, %llu whole epochs, seed %llu\n",
              static_cast<unsigned long long>(faults), end.at("generation").get<unsigned long long>(),
              audit.at("steps").get<unsigned long long>(), static_cast<unsigned long long>(whole),
              static_cast<unsigned long long>(seed_));
}

TEST_F(AuditedJob, TakesEachSampleOnceAnEpochWhateverHappens) {
  submit("allreduce", 0);
  disturb_and_audit(number_of("DS_AUDIT_FAULTS", 12));
}

TEST_F(AuditedJob, TakesEachSampleOnceAnEpochWhenDataShardsMakeTheBatches) {
  submit("allreduce", 2);
  disturb_and_audit(number_of("DS_AUDIT_FAULTS", 4));
}

TEST_F(AuditedJob, TakesEachSampleOnceAnEpochWhenParameterServersCommitTheSteps) {
  submit("parameter_server\nservers: 2\nreplicas: 1", 0);
  disturb_and_audit(number_of("DS_AUDIT_FAULTS", 4));
}

}  // namespace
}  // namespace ds::tests
