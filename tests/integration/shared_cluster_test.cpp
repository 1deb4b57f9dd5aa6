// A day of a shared cluster in a minute: three tenants, twenty training jobs and a served model on four nodes
// of four slots. Quotas are borrowed and reclaimed, an urgent gang makes others shrink, a node is drained,
// another is killed, and so is the head. Nothing of it shows in any weight or answer, no job is lost, and by
// the head's journal no slot was given twice and no quota passed, at no moment.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "tests/integration/lease_journal.hpp"
#include "tests/integration/served_models.hpp"

namespace ds::tests {
namespace {

using namespace std::chrono_literals;

constexpr int kEpochs = 12;
constexpr int kNodes = 4, kSlots = 4;
constexpr auto kLimit = 300s;

constexpr const char* kTenants = R"(version: 1
tenants:
  nlp: {guaranteed: 6, borrowing_limit: 6}
  vision:
    borrowing_limit: 4
    queues:
      prod: {guaranteed: 4, weight: 2}
      dev: {guaranteed: 2, borrowing_limit: 2}
  ops: {guaranteed: 4, lending_limit: 2}
)";
/// What each may have at most; `ops` has no limit of its own but that nlp keeps nothing back.
const std::map<std::string, std::uint64_t> kMost{{"nlp", 12}, {"vision", 10}, {"vision/dev", 4}};

/// How jobs train; those with the same number of logical ranks end with the same weights.
struct Way {
  int min = 1, max = 4;
  const char* strategy = "allreduce";
};
constexpr Way kElastic{1, 4}, kPair{2, 2}, kUrgent{4, 4};
constexpr Way kServers{1, 4, "parameter_server\nservers: 2\nreplicas: 1"};

class SharedCluster : public ServedModels {
 protected:
  struct Submitted {
    std::string id;
    int logical_ranks = 0;
  };

  void SetUp() override {
    RecordProperty("seed", std::to_string(seed_));
    std::ofstream(tenants()) << kTenants;
    start_head_with_tenants();
    for (int node = 1; node <= kNodes; ++node) cluster_.start_node("node-" + std::to_string(node), kSlots);
    ASSERT_TRUE(cluster_.wait_for_nodes(kNodes)) << cluster_.logs();
  }

  std::filesystem::path tenants() const { return cluster_.path() / "tenants.yaml"; }
  void start_head_with_tenants() { cluster_.start_head({"--tenants", tenants().string()}); }

  std::string submit(const std::string& name, const Way& way, const std::string& more) {
    const auto file =
        write_job(cluster_.path() / "data" / name, name, kEpochs, way.min, way.max, way.strategy);
    std::ofstream(file, std::ios::app) << "validate: {every: 6 epochs}\n" << more;
    auto id = cluster_.submit_job(file);
    jobs_.push_back({id, way.max});
    return id;
  }
  void submit(const std::string& name, int count, const Way& way, const std::string& more) {
    for (int i = 1; i <= count; ++i) submit(name + "-" + std::to_string(i), way, more);
  }

  nlohmann::json tenant(const std::string& name) const {
    const auto all = cluster_.json({"tenants"});
    if (!all.is_array()) return nullptr;
    const auto found = std::ranges::find_if(all, [&](const auto& one) { return one.at("name") == name; });
    return found == all.end() ? nlohmann::json() : *found;
  }
  bool becomes(const std::string& name, const char* field, const std::function<bool(std::uint64_t)>& is_it) {
    return wait_until(
        [&] {
          const auto now = tenant(name);
          return now.is_object() && is_it(now.at(field).get<std::uint64_t>());
        },
        kLimit);
  }
  nlohmann::json node(const std::string& name) const {
    const auto all = cluster_.json({"nodes"});
    if (!all.is_array()) return nullptr;
    const auto found = std::ranges::find_if(all, [&](const auto& one) { return one.at("id") == name; });
    return found == all.end() ? nlohmann::json() : *found;
  }
  bool is_used(const std::string& name) const {
    return wait_until([&] {
      const auto now = node(name);
      return now.is_object() && now.at("slots_used") > 0;
    });
  }
  std::size_t training(const std::string& job) const {
    const auto now = cluster_.status(job);
    if (!now.is_object()) return 0;
    return static_cast<std::size_t>(std::ranges::count_if(
        now.at("workers"), [](const auto& worker) { return worker.at("state") == "TRAINING"; }));
  }
  std::size_t running() const {
    const auto all = cluster_.json({"list"});
    if (!all.is_array()) return 0;
    return static_cast<std::size_t>(std::ranges::count_if(
        all, [](const auto& job) { return job.at("kind") == "train" && job.at("state") == "RUNNING"; }));
  }

  /// Trains what the others' weights are compared with, and what is served, before anybody disturbs.
  void train_undisturbed() {
    const auto four = submit("undisturbed-4", kElastic, "tenant: ops\n");
    const auto two = submit("undisturbed-2", kPair, "tenant: ops\n");
    jobs_.clear();
    for (const auto& [ranks, job] : {std::pair(4, four), std::pair(2, two)}) {
      ASSERT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
      weights_[ranks] = cluster_.exported_weights(job);
      ASSERT_FALSE(weights_[ranks].empty());
    }
    job_ = four;
  }

  /// Asks as a light client would, again where no head answers because it was killed.
  std::string ask(const std::string& expected) const {
    std::this_thread::sleep_for(50ms);
    const auto [status, body] = post(request({"hello there"}));
    if (status == 0 && is_headless_) return {};
    if (status != 200) return std::to_string(status) + " " + body;
    return labels_in(body) == std::vector{expected} ? "" : body;
  }

  void kill_head() {
    is_headless_ = true;
    cluster_.head().kill_and_wait();
    start_head_with_tenants();
    ASSERT_TRUE(cluster_.wait_for_nodes(kNodes)) << cluster_.logs();
    is_headless_ = false;
  }

  void expect_all_succeed() const {
    for (const auto& job : jobs_) {
      ASSERT_TRUE(wait_until(
          [&] {
            const auto now = cluster_.status(job.id);
            return now.is_object() && now.at("state") == "SUCCEEDED";
          },
          kLimit))
          << cluster_.status(job.id) << cluster_.logs();
      EXPECT_TRUE(cluster_.exported_weights(job.id) == weights_.at(job.logical_ranks))
          << job.id << " was disturbed" << cluster_.logs();
    }
  }

  /// `ds-submit metrics` has numbers of what has trained and of what serves.
  void expect_metrics(const std::string& trained, const std::string& served, int answers) const {
    const auto job = cluster_.json({"metrics", trained});
    ASSERT_TRUE(job.is_object());
    EXPECT_FALSE(job.at("evaluations").empty()) << job;
    EXPECT_TRUE(job.at("metrics").at("loss").is_number()) << job;
    const auto serving = cluster_.json({"metrics", served});
    ASSERT_TRUE(serving.is_object());
    double successes = 0;
    for (const auto& sample : serving.at("samples")) {
      if (sample.at("name") == "ds_infer_requests_total" && sample.at("labels").at("outcome") == "success")
        successes += sample.at("value").get<double>();
    }
    EXPECT_GE(successes, answers) << serving;
    const auto all = cluster_.json({"metrics"});
    ASSERT_TRUE(all.is_object());
    EXPECT_EQ(all.at("jobs").size(), jobs_.size() + 3);
  }

  void expect_sound_journal() {
    cluster_.head().signal(SIGTERM);
    EXPECT_EQ(cluster_.head().wait(), 0);
    const auto journal = read_lease_journal(cluster_.path() / "head");
    EXPECT_EQ(journal.fault, "");
    EXPECT_EQ(journal.most_on_node.size(), kNodes);
    for (const auto& [name, slots] : journal.most_on_node) EXPECT_LE(slots, kSlots) << name;
    for (const auto& [queue, most] : kMost) {
      EXPECT_GT(journal.most_of_queue.at(queue), 0U) << queue;
      EXPECT_LE(journal.most_of_queue.at(queue), most) << queue;
    }
    for (const auto& job : jobs_) EXPECT_EQ(journal.ends.at(job.id), std::vector<std::string>{"SUCCEEDED"});
    EXPECT_GT(journal.shrunk, 0U);
    std::cout << journal.grants << " slots granted, " << journal.shrunk << " workers sent away, "
              << journal.preempted << " jobs preempted\n";
  }

  std::vector<Submitted> jobs_;
  std::map<int, std::string> weights_;  ///< by the number of logical ranks
  std::atomic<bool> is_headless_{false};
};

TEST_F(SharedCluster, KeepsEverybodysWorkAndQuotaThroughAllThatHappens) {
  ASSERT_NO_FATAL_FAILURE(train_undisturbed());
  const auto served = serve("replicas: 2\ntenant: ops\nplacement: spread\n");
  ASSERT_TRUE(has_replicas(served, 2)) << cluster_.logs();
  const auto expected = label_of("hello there");
  ASSERT_FALSE(expected.empty());
  Askers askers(1, [&] { return ask(expected); });

  // nlp is alone and borrows all it may; its urgent gang then makes its other jobs shrink.
  submit("nlp", 4, kElastic, "tenant: nlp\n");
  EXPECT_TRUE(becomes("nlp", "borrowed", [](auto slots) { return slots == 6; })) << cluster_.logs();
  const auto urgent = submit("urgent", kUrgent, "tenant: nlp\npriority: critical\n");
  EXPECT_TRUE(wait_until([&] { return training(urgent) == 4; })) << cluster_.logs();

  // The others come, and get back what they are guaranteed.
  submit("nlp-pair", 2, kPair, "tenant: nlp\n");
  submit("nlp-servers", 2, kServers, "tenant: nlp\n");
  submit("prod", 2, kPair, "tenant: vision\nqueue: prod\n");
  submit("prod-servers", 1, kServers, "tenant: vision\nqueue: prod\n");
  submit("dev", 3, kElastic, "tenant: vision\nqueue: dev\n");
  submit("ops", 3, kElastic, "tenant: ops\n");
  EXPECT_TRUE(becomes("vision", "used", [](auto slots) { return slots >= 6; })) << cluster_.logs();
  EXPECT_TRUE(becomes("nlp", "used", [](auto slots) { return slots < 12; })) << cluster_.logs();

  ASSERT_TRUE(is_used("node-2")) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"drain", "node-2"}).code, 0);
  EXPECT_TRUE(wait_until([&] {
    const auto now = node("node-2");
    return now.is_object() && now.at("state") == "DRAINED" && now.at("slots_used") == 0;
  })) << cluster_.logs();

  ASSERT_TRUE(is_used("node-3")) << cluster_.logs();
  cluster_.node("node-3").kill_and_wait();
  cluster_.forget_node("node-3");
  EXPECT_TRUE(cluster_.wait_for_nodes(kNodes - 1)) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"undrain", "node-2"}).code, 0);
  cluster_.start_node("node-3", kSlots);
  ASSERT_TRUE(is_used("node-3")) << cluster_.logs();

  // Some come late, so that jobs train when the head is killed, however fast the machine is.
  submit("ops-pair", 2, kPair, "tenant: ops\n");
  ASSERT_EQ(jobs_.size(), 20U);
  ASSERT_TRUE(wait_until([&] { return running() > 0; })) << cluster_.logs();
  ASSERT_NO_FATAL_FAILURE(kill_head());

  const int before = askers.answers();
  ASSERT_NO_FATAL_FAILURE(expect_all_succeed());
  EXPECT_TRUE(wait_until([&] { return askers.answers() > before + 20; })) << cluster_.logs();
  EXPECT_TRUE(has_replicas(served, 2)) << cluster_.logs();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << cluster_.logs();
  const auto listed = cluster_.json({"list"});
  ASSERT_TRUE(listed.is_array());
  EXPECT_EQ(listed.size(), jobs_.size() + 3);
  ASSERT_NO_FATAL_FAILURE(expect_metrics(urgent, served, 20));
  ASSERT_NO_FATAL_FAILURE(expect_sound_journal());
}

}  // namespace
}  // namespace ds::tests
