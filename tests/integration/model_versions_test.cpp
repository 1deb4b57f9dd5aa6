// Models of the registry: their versions change under steady load, and nobody's request is lost.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "tests/integration/numbered_requests.hpp"

namespace ds::tests {
namespace {

class ModelVersions : public NumberedRequests {
 protected:
  void SetUp() override {
    NumberedRequests::SetUp();
    ASSERT_NO_FATAL_FAILURE(write_versions(3));
    ASSERT_NO_FATAL_FAILURE(run_torch(
        // Dividing the smallest number by -1 is what a processor stops a program for.
        "class Crash(torch.nn.Module):\n"
        "    def __init__(self, unless: float):\n"
        "        super().__init__()\n"
        "        self.unless = unless\n"
        "    def forward(self, x):\n"
        "        smallest = torch.ne(x, self.unless).to(torch.long) * (-9223372036854775807 - 1)\n"
        "        return x + torch.div(smallest, -torch.ones_like(smallest), rounding_mode='trunc')\n"
        "torch.jit.script(Crash(0.0)).save(sys.argv[1] + '/asked.pt')\n"
        "torch.jit.script(Crash(1.0)).save(sys.argv[1] + '/loaded.pt')\n"));
  }

  /// What is in the file that a job names.
  std::filesystem::path served_file() const { return cluster_.path() / "served.pt"; }
  void overwrite(const std::filesystem::path& content) const {
    std::filesystem::copy_file(content, served_file(), std::filesystem::copy_options::overwrite_existing);
  }

  /// Version N of `adder` is `versionN.pt`.
  void add_version(int number, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"register", "adder", "file:" + file_of(number)};
    words.insert(words.end(), more.begin(), more.end());
    const auto added = cluster_.submit(words);
    ASSERT_EQ(added.code, 0) << added.err << cluster_.logs();
    EXPECT_EQ(added.out, "adder@" + std::to_string(number) + "\n");
  }
  std::string serve_registry(const std::string& source, const std::string& more) {
    return cluster_.submit_job(write_serve("answers", model_of(source), more));
  }
  /// So many replicas of that version are ready, and there is no other.
  bool serves_only(const std::string& job, int version, int replicas) const {
    return wait_until([&] {
      const auto status = cluster_.status(job);
      if (!status.is_object() || !status.contains("model")) return false;
      const auto& counts = status.at("model").at("replicas");
      return counts.size() == 1 && counts.at(0).at("version") == version &&
             counts.at(0).at("ready") == replicas && counts.at(0).at("starting") == 0 &&
             counts.at(0).at("leaving") == 0;
    });
  }
  /// Watches that no fewer replicas take requests, whatever their versions, as long as there is a head.
  std::function<std::string()> watching(std::uint64_t least) const {
    return [this, least]() -> std::string {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      const auto metrics = client().Get("/metrics");
      if (!metrics) return "";
      static const std::regex kReady(
          "ds_replicas\\{model=\"answers\",version=\"[0-9]+\",state=\"ready\"\\} ([0-9]+)");
      std::uint64_t ready = 0;
      const auto& text = metrics->body;
      for (std::sregex_iterator one(text.begin(), text.end(), kReady), end; one != end; ++one)
        ready += std::stoull((*one)[1]);
      return ready >= least ? "" : std::to_string(ready) + " replicas are ready";
    };
  }
  std::uint32_t ready_of(const std::string& job, int version) const {
    const auto status = cluster_.status(job);
    if (!status.is_object() || !status.contains("model")) return 0;
    for (const auto& count : status.at("model").at("replicas")) {
      if (count.at("version") == version) return count.at("ready").get<std::uint32_t>();
    }
    return 0;
  }
};

TEST_F(ModelVersions, ReplaceEachOtherWithoutAFailedRequestWhateverDiesMeanwhile) {
  add_version(1, {"--tag", "prod"});
  add_version(2);
  const auto job = serve_registry("registry:adder@prod", "replicas: 2\n");
  ASSERT_TRUE(serves_only(job, 1, 2)) << cluster_.logs();
  expect_version(1);
  Askers askers(3, asking());
  ASSERT_TRUE(askers.have_more_answers(20)) << cluster_.logs();
  expect_version(0);
  ASSERT_EQ(cluster_.submit({"promote", "adder@2", "prod"}).code, 0);
  ASSERT_TRUE(wait_until([&] { return ready_of(job, 2) > 0; })) << cluster_.status(job) << cluster_.logs();
  const auto pids = cluster_.worker_pids(job);
  ASSERT_FALSE(pids.empty());
  kill(pids.at(random_() % pids.size()), SIGKILL);
  ASSERT_NO_FATAL_FAILURE(kill_head_under_load());
  EXPECT_TRUE(serves_only(job, 2, 2)) << cluster_.status(job) << cluster_.logs();
  expect_version(2);
  EXPECT_TRUE(askers.have_more_answers(20)) << cluster_.logs();
  Askers watcher(1, watching(2));
  expect_version(0);
  ASSERT_EQ(cluster_.submit({"rollback", "adder", "prod"}).code, 0);
  EXPECT_TRUE(serves_only(job, 1, 2)) << cluster_.status(job) << cluster_.logs();
  expect_version(1);
  watcher.stop();
  EXPECT_EQ(watcher.wrong(), 0) << watcher.first_wrong();
  EXPECT_GT(watcher.answers(), 10);
  EXPECT_TRUE(askers.have_more_answers(20)) << cluster_.logs();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << cluster_.logs();
}

TEST_F(ModelVersions, ReplaceEachOtherBothWaysWhileReplicasAndANodeAreKilled) {
  add_version(1, {"--tag", "prod"});
  add_version(2);
  const auto all = [&] { return "seed " + std::to_string(seed_) + cluster_.logs(); };
  const auto job = serve_registry("registry:adder@prod",
                                  "replicas: 2\nbatching: {mode: fixed, max_size: 8, max_delay: 10ms}\n");
  ASSERT_TRUE(serves_only(job, 1, 2)) << all();
  Askers askers(6, asking());
  const std::string node = random_() % 2 == 0 ? "node-1" : "node-2";
  for (int roll = 0; roll < 4; ++roll) {
    const int version = roll % 2 == 0 ? 2 : 1;
    expect_version(0);
    const auto moved = version == 2 ? cluster_.submit({"promote", "adder@2", "prod"})
                                    : cluster_.submit({"rollback", "adder", "prod"});
    ASSERT_EQ(moved.code, 0) << moved.err;
    for (int round = 0; round < 2; ++round) {
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 300));
      const auto pids = serving_pids(job);
      if (!pids.empty()) kill(pids[random_() % pids.size()], SIGKILL);
      ASSERT_TRUE(all_have_heard()) << all();
    }
    if (roll == 1) {
      cluster_.node(node).kill_and_wait();
      cluster_.forget_node(node);
    }
    ASSERT_TRUE(serves_only(job, version, 2)) << cluster_.status(job) << all();
    if (roll == 1) cluster_.start_node(node, 2);
    expect_version(version);
    ASSERT_TRUE(askers.have_more_answers(50)) << all();
  }
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << all();
}

TEST_F(ModelVersions, ReplaceEachOtherOneByOneWhereNoSlotIsFree) {
  add_version(1, {"--tag", "prod"});
  add_version(2);
  ASSERT_EQ(cluster_.submit({"drain", "node-2"}).code, 0);  // two slots are left
  const auto job = serve_registry("registry:adder", "replicas: 2\n");
  ASSERT_TRUE(serves_only(job, 1, 2)) << cluster_.logs();
  Askers askers(2, asking()), watcher(1, watching(1));
  ASSERT_EQ(cluster_.submit({"promote", "adder", "prod"}).code, 0);
  EXPECT_NE(codes_of(job).find("rolling"), std::string::npos);
  EXPECT_TRUE(serves_only(job, 2, 2)) << cluster_.status(job) << cluster_.logs();
  watcher.stop();
  EXPECT_EQ(watcher.wrong(), 0) << watcher.first_wrong();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << cluster_.logs();
}

TEST_F(ModelVersions, OfAFileAreItsContents) {
  overwrite(file_of(1));
  const auto job_file = write_serve("answers", model_of("file:served.pt"), "replicas: 2\n");
  const auto job = cluster_.submit_job(job_file);
  ASSERT_TRUE(serves_only(job, 1, 2)) << cluster_.logs();
  Askers askers(2, asking());
  EXPECT_EQ(cluster_.submit_job(job_file), job) << "nothing has changed";
  // Whoever starts now finds what the others don't have.
  overwrite(file_of(2));
  const auto pids = cluster_.worker_pids(job);
  ASSERT_EQ(pids.size(), 2U);
  kill(pids.front(), SIGKILL);
  EXPECT_TRUE(wait_until([&] {
    const auto status = cluster_.status(job);
    return status.is_object() &&
           status.at("reason").get<std::string>().find("served.pt has changed since the job was submitted") !=
               std::string::npos;
  })) << cluster_.status(job)
      << cluster_.logs();
  EXPECT_EQ(ready_of(job, 1), 1U);
  EXPECT_EQ(cluster_.submit_job(job_file), job);
  EXPECT_TRUE(serves_only(job, 2, 2)) << cluster_.status(job) << cluster_.logs();
  EXPECT_EQ(ask_once().version, 2);
  // What is no model leaves the replicas that there are.
  std::ofstream(served_file(), std::ios::trunc) << "no model at all";
  EXPECT_EQ(cluster_.submit_job(job_file), job);
  EXPECT_TRUE(wait_until([&] { return codes_of(job).find("rollout_stopped") != std::string::npos; }))
      << cluster_.status(job) << cluster_.logs();
  EXPECT_TRUE(serves_only(job, 2, 2)) << cluster_.status(job) << cluster_.logs();
  overwrite(file_of(1));
  EXPECT_EQ(cluster_.submit_job(job_file), job);
  EXPECT_TRUE(serves_only(job, 1, 2)) << "it is what it was at first" << cluster_.status(job);
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << cluster_.logs();
  EXPECT_GT(askers.answers(), 100);
}

TEST_F(ModelVersions, OfAFileThatChangedWhileTheySleptAreRefusedAtOnceUntilItIsSubmittedAgain) {
  overwrite(file_of(1));
  const auto job_file = write_serve("answers", model_of("file:served.pt"),
                                    "replicas: {min: 0, max: 1}\nautoscale: {to_zero_after: 2s}\n");
  const auto job = cluster_.submit_job(job_file);
  ASSERT_EQ(ask_once().version, 1) << cluster_.logs();
  overwrite(file_of(2));
  ASSERT_EQ(cluster_.submit_job(job_file), job);
  ASSERT_TRUE(wait_until([&] { return ask_once().version == 2; })) << cluster_.status(job) << cluster_.logs();
  ASSERT_TRUE(has_replicas(job, 0)) << cluster_.status(job) << cluster_.logs();
  overwrite(file_of(3));
  for (const char* when : {"it woke a replica", "none is on its way"}) {
    const auto refused = ask_once().wrong;
    EXPECT_NE(refused.find(": 503 "), std::string::npos) << when << ": " << refused << cluster_.logs();
    EXPECT_NE(refused.find("served.pt has changed since the job was submitted"), std::string::npos)
        << refused;
    EXPECT_NE(refused.find("submit the job file again"), std::string::npos) << refused;
  }
  EXPECT_NE(cluster_.status(job).at("reason").get<std::string>().find("submit the job file again"),
            std::string::npos)
      << cluster_.status(job);
  EXPECT_TRUE(wait_until([&] {
    const auto codes = codes_of(job);
    return codes.find("file_changed") != std::string::npos &&
           codes.find("backoff_restart") != std::string::npos;
  })) << "it isn't tried for ever: "
      << cluster_.json({"why", job});
  EXPECT_EQ(cluster_.submit_job(job_file), job);
  const auto said = ask_once();
  EXPECT_EQ(said.version, 3) << said.wrong << cluster_.status(job) << cluster_.logs();
  EXPECT_EQ(codes_of(job).find("file_changed"), std::string::npos) << cluster_.json({"why", job});
}

TEST_F(ModelVersions, OfAFileFollowASubmissionOnceThoughItsAnswerWasLost) {
  overwrite(file_of(1));
  const auto job_file = write_serve("answers", model_of("file:served.pt"), "replicas: 1\n");
  const auto job = cluster_.submit_job(job_file);
  ASSERT_TRUE(serves_only(job, 1, 1)) << cluster_.logs();
  std::ostringstream text;
  text << std::ifstream(job_file).rdbuf();
  const auto body =
      Json{{"file", "answers.yaml"}, {"directory", cluster_.path().string()}, {"text", text.str()}}.dump();
  const auto submit = [&]() -> std::string {
    const auto answer = client().Post("/api/v1/jobs", {{"Idempotency-Key", "whose-answer-is-lost"}}, body,
                                      "application/json");
    if (!answer) return httplib::to_string(answer.error());
    return answer->status == 200 ? Json::parse(answer->body).at("id").get<std::string>() : answer->body;
  };
  const auto version = [&] { return cluster_.status(job).at("model").at("traffic").at(0).at("version"); };
  overwrite(file_of(2));
  EXPECT_EQ(submit(), job);
  EXPECT_EQ(version(), 2);
  overwrite(file_of(1));
  EXPECT_EQ(submit(), job) << "it comes a second time";
  EXPECT_EQ(version(), 2);
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  EXPECT_EQ(submit(), job) << "to another head";
  EXPECT_EQ(version(), 2);
  EXPECT_EQ(cluster_.submit_job(job_file), job);
  EXPECT_EQ(version(), 1) << "another submission looks at the file";
}

TEST_F(ModelVersions, OfAFileThatOnlyNodesHaveAreWhatTheFirstReplicaHasRead) {
  for (const char* node : {"node-1", "node-2"}) ASSERT_EQ(cluster_.submit({"drain", node}).code, 0);
  const auto file = cluster_.path() / "late.pt";
  const auto job_file = write_serve("answers", model_of("file:late.pt"), "replicas: 1\n");
  const auto job = cluster_.submit_job(job_file);
  std::filesystem::copy_file(file_of(1), file);
  for (const char* node : {"node-1", "node-2"}) ASSERT_EQ(cluster_.submit({"undrain", node}).code, 0);
  ASSERT_TRUE(serves_only(job, 1, 1)) << cluster_.status(job) << cluster_.logs();
  EXPECT_EQ(cluster_.status(job).at("model").at("traffic").at(0).at("sha256").get<std::string>().size(), 64U);
  EXPECT_EQ(cluster_.submit_job(job_file), job);
  EXPECT_TRUE(serves_only(job, 1, 1)) << "it is the same file";
}

TEST_F(ModelVersions, AreNotReplacedByOneThatCannotBeServed) {
  add_version(1, {"--tag", "prod"});
  std::ofstream(file_of(2)) << "no model at all";
  const auto refused = cluster_.submit({"register", "adder", "file:" + file_of(2)});
  EXPECT_EQ(refused.code, 2) << refused.err;
  EXPECT_NE(refused.err.find("is no TorchScript file"), std::string::npos) << refused.err;
  std::ofstream(file_of(2)) << "PK\3\4 no model all the same";
  add_version(2);
  std::filesystem::remove(file_of(1));  // a version is what it was
  const auto job = serve_registry("registry:adder", "");
  ASSERT_TRUE(serves_only(job, 1, 1)) << cluster_.logs();
  Askers askers(1, asking());
  ASSERT_EQ(cluster_.submit({"promote", "adder", "prod"}).code, 0);
  EXPECT_TRUE(wait_until([&] { return codes_of(job).find("rollout_stopped") != std::string::npos; }))
      << cluster_.logs();
  EXPECT_TRUE(serves_only(job, 1, 1)) << cluster_.logs();
  const auto reason = cluster_.status(job).at("reason").get<std::string>();
  EXPECT_NE(reason.find("version 2, which prod points at, could not be served"), std::string::npos) << reason;
  EXPECT_EQ(reason.find("replicas ended"), std::string::npos)
      << "what is wrong with a file needs no second try";
  add_version(3, {"--tag", "prod"});
  EXPECT_TRUE(serves_only(job, 3, 1)) << cluster_.status(job) << cluster_.logs();
  EXPECT_EQ(codes_of(job), "");
  ASSERT_EQ(cluster_.submit({"promote", "adder@2", "prod"}).code, 0);
  EXPECT_TRUE(wait_until([&] { return codes_of(job).find("rollout_stopped") != std::string::npos; }))
      << cluster_.logs();
  EXPECT_TRUE(serves_only(job, 3, 1)) << "though it is not proved yet" << cluster_.logs();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << cluster_.logs();
}

TEST_F(ModelVersions, AreGivenUpWhenTheirReplicasCrashSoonAfterTheyWereReady) {
  add_version(1, {"--tag", "prod"});
  std::filesystem::copy_file(cluster_.path() / "asked.pt", file_of(2),
                             std::filesystem::copy_options::overwrite_existing);
  add_version(2);
  const auto job = serve_registry("registry:adder@prod", "replicas: 2\n");
  ASSERT_TRUE(serves_only(job, 1, 2)) << cluster_.logs();
  Askers askers(2, [this]() -> std::string {  // who asks the new version may hear that it kills replicas
    const auto said = ask_once();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return said.wrong.find("two replicas died while they had this request") == std::string::npos ? said.wrong
                                                                                                 : "";
  });
  ASSERT_EQ(cluster_.submit({"promote", "adder", "prod"}).code, 0);
  EXPECT_TRUE(wait_until([&] { return codes_of(job).find("rollout_stopped") != std::string::npos; }))
      << cluster_.status(job) << cluster_.logs();
  EXPECT_TRUE(serves_only(job, 1, 2)) << cluster_.status(job) << cluster_.logs();
  const auto reason = cluster_.status(job).at("reason").get<std::string>();
  EXPECT_NE(
      reason.find("version 2, which prod points at, could not be served: 3 replicas ended soon after they "
                  "were ready, the last: killed by signal 8"),
      std::string::npos)
      << reason;
  expect_version(1);
  EXPECT_TRUE(askers.have_more_answers(20)) << cluster_.logs();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << cluster_.logs();
}

TEST_F(ModelVersions, ThatNeverGetReadyLeaveTheirPartToTheOthers) {
  add_version(1, {"--tag", "prod"});
  std::filesystem::copy_file(cluster_.path() / "loaded.pt", file_of(2),
                             std::filesystem::copy_options::overwrite_existing);
  add_version(2, {"--tag", "canary"});
  const auto job =
      serve_registry("registry:adder", "replicas: 2\nrestart: 1\ntraffic: {prod: 75, canary: 25}\n");
  EXPECT_TRUE(serves_only(job, 1, 2)) << cluster_.status(job) << cluster_.logs();
  const auto reason = cluster_.status(job).at("reason").get<std::string>();
  EXPECT_NE(reason.find("version 2, which canary points at, could not be served: "), std::string::npos)
      << reason;
  expect_version(1);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(ask_once().wrong, "");
  // Alone it ends its job.
  const auto alone =
      cluster_.submit_job(write_serve("alone", model_of("registry:adder@canary"), "restart: 0\n"));
  EXPECT_TRUE(cluster_.wait_for_state(alone, "FAILED")) << cluster_.status(alone) << cluster_.logs();
  EXPECT_NE(cluster_.status(alone).at("reason").get<std::string>().find("killed by signal 8"),
            std::string::npos)
      << cluster_.status(alone);
}

TEST_F(ModelVersions, ShareRequestsAsTheJobSaysAndAreReachedByTheirNumbers) {
  add_version(1, {"--tag", "prod"});
  add_version(2, {"--tag", "canary"});
  const auto job = serve_registry("registry:adder", "replicas: 2\ntraffic: {prod: 75, canary: 25}\n");
  ASSERT_TRUE(wait_until([&] { return ready_of(job, 1) == 1 && ready_of(job, 2) == 1; })) << cluster_.logs();
  std::map<int, int> counts;
  for (int i = 0; i < 40; ++i) {
    const auto said = ask_once();
    EXPECT_EQ(said.wrong, "");
    ++counts[said.version];
  }
  EXPECT_EQ(counts, (std::map<int, int>{{1, 30}, {2, 10}}));
  expect_version(2);
  EXPECT_EQ(ask_once("/versions/2").wrong, "");
  EXPECT_NE(ask_once("/versions/3").wrong.find(": 404 "), std::string::npos);
  const auto metadata = client().Get("/v2/models/answers");
  ASSERT_TRUE(metadata);
  EXPECT_EQ(Json::parse(metadata->body).at("versions"), (Json{"1", "2"}));
  const auto metrics = client().Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_NE(
      metrics->body.find("ds_infer_requests_total{model=\"answers\",version=\"2\",outcome=\"success\"} 11\n"),
      std::string::npos)
      << metrics->body;
  EXPECT_NE(cluster_.submit({"status", job}).out.find("canary"), std::string::npos);
  ASSERT_EQ(cluster_.submit({"promote", "adder@canary", "prod"}).code, 0);
  EXPECT_TRUE(serves_only(job, 2, 2)) << cluster_.status(job) << cluster_.logs();
}

TEST_F(ModelVersions, ThatNobodyServesCanBeRemovedWithTheirFiles) {
  for (const int number : {1, 2, 3}) add_version(number);
  ASSERT_EQ(cluster_.submit({"promote", "adder@1", "prod"}).code, 0);
  const auto job = serve_registry("registry:adder@2", "");
  ASSERT_TRUE(serves_only(job, 2, 1)) << cluster_.logs();
  const auto refused = [&](const std::string& what, int code, const std::string& text) {
    const auto outcome = cluster_.submit({"unregister", what});
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
  };
  refused("adder@1", 10, "tag prod of model adder points at version 1");
  refused("adder@2", 10, "job " + job + " serves version 2 of model adder");
  refused("adder", 10, "job " + job + " serves model adder");
  refused("adder@prod", 2, "expected the number of a version");
  refused("adder@7", 4, "has no version 7");
  ASSERT_EQ(cluster_.submit({"unregister", "adder@3"}).code, 0) << cluster_.logs();
  kill_head_and_start_another();
  auto models = cluster_.json({"models", "adder"});
  ASSERT_EQ(models.at("versions").size(), 2U) << models;
  EXPECT_EQ(cluster_.submit({"register", "adder", "file:" + file_of(3)}).out, "adder@4\n")
      << "3 is gone for ever";
  ASSERT_EQ(cluster_.submit({"promote", "adder@4", "prod"}).code, 0);
  ASSERT_EQ(cluster_.submit({"unregister", "adder@1"}).code, 0);
  ASSERT_EQ(cluster_.submit({"cancel", job}).code, 0);
  ASSERT_TRUE(cluster_.wait_for_state(job, "CANCELLED"));
  ASSERT_EQ(cluster_.submit({"unregister", "adder@2"}).code, 0) << cluster_.logs();
  const auto again = cluster_.submit({"retry", job});
  EXPECT_EQ(again.code, 10) << again.err;
  EXPECT_NE(again.err.find("has been removed from the registry"), std::string::npos) << again.err;
  // The file of what is left is there still.
  ASSERT_TRUE(serves_only(serve_registry("registry:adder@prod", ""), 4, 1)) << cluster_.logs();
}

TEST_F(ModelVersions, ComeFromCheckpointsAndAreRefusedInWordsThatHelp) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto added = cluster_.submit({"register", "texts", "ckpt:" + job_ + "@best", "--tag", "best"});
  ASSERT_EQ(added.code, 0) << added.err;
  EXPECT_EQ(cluster_.submit({"register", "texts", "ckpt:" + job_ + "@best"}).out, "texts@1\n")
      << "the same again is no other";
  const auto models = cluster_.json({"models", "texts"});
  ASSERT_EQ(models.at("versions").size(), 1U) << models;
  EXPECT_EQ(models.at("versions").at(0).at("job"), job_);
  EXPECT_TRUE(models.at("versions").at(0).at("metrics").contains("accuracy")) << models;
  const auto refused = [&](const std::vector<std::string>& words, int code, const std::string& text) {
    const auto outcome = cluster_.submit(words);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
  };
  const auto refused_file = [&](const std::string& source, const std::string& more, const std::string& text) {
    refused({"submit", "-f", write_serve("answers", "{source: \"" + source + "\"}", more).string()}, 3, text);
  };
  refused_file("registry:text", "", ":5:17: model.source: there is no model \"text\" in the registry");
  refused_file("registry:texts@prod", "", "model texts has no tag \"prod\"");
  refused_file("registry:texts@2", "", "model texts has no version 2");
  refused_file("registry:texts", "replicas: 2\ntraffic: {best: 50, canary: 50}\n",
               ":7:29: traffic.canary: model texts has no tag \"canary\"");
  refused({"register", "texts", "ckpt:nobody@best"}, 4, "there is no training job \"nobody\"");
  refused({"register", "texts", "file:nothing.pt"}, 4, "nothing.pt");
  refused({"register", "texts", "s3:x"}, 2, "expected ckpt:JOB, registry:NAME or file:PATH");
  refused({"promote", "texts@7", "prod"}, 4, "has no version 7");
  refused({"promote", "texts", "7"}, 2, "can't be a tag");
  refused({"rollback", "texts", "best"}, 10, "has pointed at nothing before version 1");
  const auto job = cluster_.submit_job(write_serve("answers", "{source: \"registry:texts@best\"}", ""));
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  EXPECT_FALSE(label_of("hello there").empty()) << cluster_.logs();
}

}  // namespace
}  // namespace ds::tests
