// Tenants live: quota lent, reclaimed by shrinking and by preempting, and never passed by what the head has
// acknowledged.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <thread>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

constexpr const char* kTenants = R"(version: 1
tenants:
  nlp: {guaranteed: 2, borrowing_limit: 1}
  vision: {guaranteed: 2}
)";

class Tenants : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(cluster_.path() / "tenants.yaml") << kTenants;
    cluster_.start_head({"--tenants", (cluster_.path() / "tenants.yaml").string()});
    cluster_.start_node("node-1", 2);
    cluster_.start_node("node-2", 2);
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  }

  std::filesystem::path write(const std::string& name, const std::string& tenant, int epochs, int min,
                              int max, const std::string& more = "") {
    const auto file = write_job(cluster_.path() / "data" / name, name, epochs, min, max);
    std::ofstream(file, std::ios::app) << "tenant: " << tenant << "\n" << more;
    return file;
  }
  std::int64_t used_by(const std::string& tenant, const char* field = "used") {
    const auto tenants = cluster_.json({"tenants"});
    if (!tenants.is_array()) return -1;
    for (const auto& one : tenants) {
      if (one.at("name") == tenant) return one.at(field).get<std::int64_t>();
    }
    return -1;
  }
  std::size_t workers_of(const std::string& job) {
    const auto now = cluster_.status(job);
    return now.is_object() ? now.at("workers").size() : 0;
  }

  Cluster cluster_;
};

TEST_F(Tenants, RefuseToScaleAJobBeyondWhatItsQueueMayEverHave) {
  const auto job = cluster_.submit_job(write("big", "nlp", 100, 1, 4));
  const auto refused = cluster_.submit({"scale", job, "4:4"});
  EXPECT_EQ(refused.code, 6) << refused.err;
  EXPECT_NE(refused.err.find("nlp may have 3 at most"), std::string::npos) << refused.err;
  EXPECT_EQ(cluster_.submit({"scale", job, "3:4"}).code, 0);
}

TEST_F(Tenants, BorrowReclaimAndNeverPassTheirQuota) {
  const auto alone = cluster_.submit_job(write("alone", "nlp", 8, 1, 3));
  ASSERT_TRUE(cluster_.wait_for_state(alone, "SUCCEEDED")) << cluster_.logs();
  const auto weights = cluster_.exported_weights(alone);

  // Watches what the head says is taken, for as long as the rest takes.
  std::atomic<bool> is_over{false};
  std::atomic<std::int64_t> most{0}, looks{0};
  std::thread watch([&] {
    while (!is_over) {
      most = std::max(most.load(), used_by("nlp"));
      ++looks;
    }
  });

  // Four slots are free and it would like four, but nlp may have three.
  const auto borrower = cluster_.submit_job(write("borrower", "nlp", 24, 1, 3));
  EXPECT_TRUE(wait_until([&] { return used_by("nlp", "borrowed") == 1; })) << cluster_.logs();
  const auto second = cluster_.submit_job(write("second", "nlp", 8, 1, 3, "priority: critical\n"));
  ASSERT_TRUE(cluster_.wait_for_step(second, 1)) << cluster_.logs();
  EXPECT_EQ(used_by("nlp"), 3);

  // vision takes back what it is guaranteed.
  const auto owner = cluster_.submit_job(write("owner", "vision", 4, 2, 2, "priority: low\n"));
  EXPECT_TRUE(wait_until([&] { return used_by("vision") == 2; })) << cluster_.logs();
  EXPECT_TRUE(wait_until([&] { return used_by("nlp", "borrowed") == 0; })) << cluster_.logs();

  for (const auto& job : {borrower, second, owner})
    EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << job << cluster_.logs();
  is_over = true;
  watch.join();
  EXPECT_LE(most, 3) << "nlp had more than it may";
  EXPECT_GT(looks, 10);
  EXPECT_TRUE(cluster_.exported_weights(second) == weights);
}

TEST_F(Tenants, MayUseWhatIsAppliedWhileTheHeadRuns) {
  const auto file = (cluster_.path() / "other.yaml").string();
  const auto apply = [&](const std::string& text) {
    std::ofstream(file) << text;
    return cluster_.submit({"tenants", "--apply", file});
  };
  const auto write_command = [&](const std::string& name, const std::string& tenant, int workers) {
    const auto job = cluster_.path() / (name + ".yaml");
    std::ofstream(job) << "version: 1\nkind: command\nname: " << name
                       << "\nrun: [sleep, '600']\ntenant: " << tenant << "\nworkers: " << workers << "\n";
    return job;
  };
  const auto start = [&](const std::string& name, const std::string& tenant, int workers) {
    const auto job = cluster_.submit_job(write_command(name, tenant, workers));
    EXPECT_TRUE(cluster_.wait_for_state(job, "RUNNING")) << job << cluster_.logs();
    return job;
  };
  start("first", "vision", 2);
  const auto second = start("second", "vision", 1);

  const auto wrong = apply("version: 1\ntenants:\n  nlp: {guaranteed: 2}\n  vision: {garanteed: 1}\n");
  EXPECT_EQ(wrong.code, 3) << wrong.err;
  EXPECT_NE(wrong.err.find(file + ":4:12: tenants.vision.garanteed: "), std::string::npos) << wrong.err;
  EXPECT_NE(wrong.err.find("did you mean \"guaranteed\"?"), std::string::npos) << wrong.err;
  const auto empty = apply("");
  EXPECT_EQ(empty.code, 3) << empty.err;
  EXPECT_NE(empty.err.find("the file is empty: expected a file of tenants"), std::string::npos) << empty.err;
  EXPECT_EQ(used_by("nlp", "guaranteed"), 2) << "the whole file or nothing";
  EXPECT_EQ(used_by("vision", "guaranteed"), 2);

  // vision has three and may have two; audio is new, and nlp is gone.
  const auto text =
      "version: 1\ntenants:\n  vision: {guaranteed: 2, borrowing_limit: 0}\n  audio: {guaranteed: 1}\n";
  const auto applied = apply(text);
  ASSERT_EQ(applied.code, 0) << applied.err;
  EXPECT_NE(applied.out.find("audio"), std::string::npos) << applied.out;
  EXPECT_TRUE(wait_until([&] { return used_by("vision") == 2; })) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(second, "PREEMPTED")) << cluster_.logs();
  EXPECT_EQ(cluster_.json({"why", second}).at("reasons").at(0).at("code"), "quota_tenant");
  const auto metrics = cluster_.json({"metrics"});
  const auto is_counted = [](const nlohmann::json& sample) {
    return sample.at("name") == "ds_pending_jobs" &&
           sample.at("labels").value("reason", "") == "quota_tenant" && sample.at("value") == 1;
  };
  EXPECT_TRUE(std::ranges::any_of(metrics.at("samples"), is_counted)) << metrics.dump();
  EXPECT_EQ(cluster_.submit({"submit", "-f", write_command("lost", "nlp", 1).string()}).code, 3);
  const auto sound = start("sound", "audio", 1);

  // The next head has it, though it is started with the file that it had before.
  cluster_.head().kill_and_wait();
  cluster_.start_head({"--tenants", (cluster_.path() / "tenants.yaml").string()});
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  EXPECT_EQ(used_by("audio", "guaranteed"), 1);
  EXPECT_EQ(used_by("nlp", "guaranteed"), -1);
  EXPECT_EQ(apply(text).code, 0) << "asking twice is no error";
  // Unless that has changed since.
  std::ofstream(cluster_.path() / "tenants.yaml") << "version: 1\ntenants:\n  vision: {guaranteed: 3}\n";
  cluster_.head().kill_and_wait();
  cluster_.start_head({"--tenants", (cluster_.path() / "tenants.yaml").string()});
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  EXPECT_EQ(used_by("audio", "guaranteed"), 0);
  EXPECT_EQ(used_by("audio"), 1) << "it is named no more, and a job of its runs";
  EXPECT_TRUE(cluster_.wait_for_state(second, "RUNNING")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(sound).at("state"), "RUNNING") << "it keeps what it has";

  // More than there is may be guaranteed, as nodes may come; but nobody overlooks it.
  const auto warning = "tenants are guaranteed 9 slots together, and the nodes that are up have 4";
  EXPECT_EQ(cluster_.submit({"tenants"}).out.find("tenants are guaranteed"), std::string::npos);
  const auto much = apply("version: 1\ntenants:\n  vision: {guaranteed: 9}\n");
  EXPECT_EQ(much.code, 0);
  EXPECT_NE(much.err.find(std::string("warning: ") + warning), std::string::npos) << much.err;
  EXPECT_NE(cluster_.submit({"tenants"}).out.find(warning), std::string::npos);
  EXPECT_EQ(used_by("vision", "guaranteed_together"), 9);
  EXPECT_EQ(used_by("vision", "cluster_slots"), 4);
  EXPECT_TRUE(wait_until([&] { return cluster_.logs().find(warning) != std::string::npos; }));
}

TEST_F(Tenants, AreNamedInJobsAndRefuseWhatTheyCanNeverHave) {
  const auto unknown = cluster_.submit({"submit", "-f", write("lost", "nlpp", 1, 1, 1).string()});
  EXPECT_EQ(unknown.code, 3) << unknown.err;
  EXPECT_NE(unknown.err.find("there is no tenant \"nlpp\""), std::string::npos) << unknown.err;
  EXPECT_NE(unknown.err.find("tenants here: nlp, vision"), std::string::npos) << unknown.err;
  const auto large = cluster_.submit({"submit", "-f", write("large", "nlp", 1, 4, 4).string()});
  EXPECT_EQ(large.code, 6) << large.err;
  EXPECT_NE(large.err.find("needs 4 slots at least, and nlp may have 3 at most"), std::string::npos)
      << large.err;
  const auto shown = cluster_.submit({"tenants"});
  EXPECT_EQ(shown.code, 0);
  EXPECT_NE(shown.out.find("vision"), std::string::npos) << shown.out;
}

}  // namespace
}  // namespace ds::tests
