// Models that are served: a checkpoint answers over HTTP, replicas die and come and go, nobody's request is
// lost.
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

using nlohmann::json;

class ServeJobs : public TwoNodes {
 protected:
  /// Trains the small text set to its end; the job is named `texts`.
  void train() {
    job_ = cluster_.submit_job(write_job(cluster_.path() / "data", "texts", 3, 1, 1));
    ASSERT_TRUE(cluster_.wait_for_state(job_, "SUCCEEDED")) << cluster_.logs();
  }

  std::string serve(const std::string& more, const std::string& name = "answers") {
    const auto file = cluster_.path() / (name + ".yaml");
    std::ofstream(file) << "version: 1\nkind: serve\nname: " << name << "\nresources: {memory: 512Mi}\n"
                        << "model: {source: \"ckpt:" << job_ << "@best\"}\n"
                        << more;
    return cluster_.submit_job(file);
  }

  httplib::Client client() const {
    httplib::Client http("http://" + cluster_.address());
    http.set_read_timeout(100);
    return http;
  }

  bool has_replicas(const std::string& job, std::size_t count) const {
    return wait_until([&] {
      const auto status = cluster_.status(job);
      if (!status.is_object() || status.at("state") != "RUNNING") return false;
      std::size_t ready = 0;
      for (const auto& worker : status.at("workers")) ready += worker.at("state") == "SERVING" ? 1 : 0;
      return ready == count && status.at("workers").size() == count;
    });
  }

  static json request(const std::string& text) {
    return {{"id", "r1"},
            {"inputs", {{{"name", "text"}, {"datatype", "BYTES"}, {"shape", {1}}, {"data", {text}}}}}};
  }

  /// The label that the model gives; empty on failure.
  std::string label_of(const std::string& text) const {
    auto http = client();
    const auto answer = http.Post("/v2/models/answers/infer", request(text).dump(), "application/json");
    if (!answer || answer->status != 200) return {};
    const auto body = json::parse(answer->body);
    for (const auto& output : body.at("outputs")) {
      if (output.at("name") == "label") return output.at("data").at(0).get<std::string>();
    }
    return {};
  }

  std::string job_;
};

TEST_F(ServeJobs, AnswerTextsWithLabelsByTheProtocol) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("");
  ASSERT_FALSE(job.empty());
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  auto http = client();
  const auto metadata = http.Get("/v2/models/answers");
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->status, 200) << metadata->body;
  EXPECT_EQ(json::parse(metadata->body).at("inputs").at(0).at("datatype"), "BYTES");
  const auto answer =
      http.Post("/v2/models/answers/infer", request("hello there").dump(), "application/json");
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->status, 200) << answer->body;
  const auto body = json::parse(answer->body);
  EXPECT_EQ(body.at("id"), "r1");
  EXPECT_EQ(body.at("model_name"), "answers");
  EXPECT_EQ(body.at("outputs").size(), 2U);
  const auto unknown = http.Post("/v2/models/other/infer", request("x").dump(), "application/json");
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->status, 404);
  EXPECT_NE(unknown->body.find("Request for unknown model"), std::string::npos);
  const auto predicted = cluster_.submit({"predict", "answers", "hello there", "good bye"});
  EXPECT_EQ(predicted.code, 0) << predicted.err;
  EXPECT_NE(predicted.out.find("LABEL"), std::string::npos) << predicted.out;
}

TEST_F(ServeJobs, LoseNoRequestWhenReplicasAndTheHeadsFriendsDie) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("replicas: 2\n");
  ASSERT_TRUE(has_replicas(job, 2)) << cluster_.logs();
  const std::string expected = label_of("hello there");
  ASSERT_FALSE(expected.empty());
  std::atomic<bool> stop{false};
  std::atomic<int> right{0}, wrong{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([&] {
      while (!stop) ++(label_of("hello there") == expected ? right : wrong);
    });
  }
  for (int round = 0; round < 2; ++round) {
    const int before = right;
    const auto pids = cluster_.worker_pids(job);
    ASSERT_FALSE(pids.empty());
    kill(pids[random_() % pids.size()], SIGKILL);
    EXPECT_TRUE(has_replicas(job, 2)) << cluster_.logs();
    EXPECT_TRUE(wait_until([&] { return right > before + 20; }));
  }
  stop = true;
  for (auto& one : clients) one.join();
  EXPECT_EQ(wrong, 0) << cluster_.logs();
}

TEST_F(ServeJobs, SleepWithoutRequestsAndWakeForOne) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("replicas: {min: 0, max: 2}\nautoscale: {down_delay: 1s, to_zero_after: 2s}\n");
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  ASSERT_TRUE(has_replicas(job, 0)) << cluster_.logs();
  EXPECT_FALSE(label_of("hello there").empty()) << cluster_.logs();
  EXPECT_TRUE(has_replicas(job, 0)) << cluster_.logs();
}

TEST_F(ServeJobs, GoOnWhileTheHeadIsStartedAgain) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("");
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  const auto pids = cluster_.worker_pids(job);
  kill_head_and_start_another();
  EXPECT_TRUE(wait_until([&] { return !label_of("hello there").empty(); })) << cluster_.logs();
  EXPECT_EQ(cluster_.worker_pids(job), pids) << "the replica was not taken back";
  EXPECT_EQ(cluster_.submit({"cancel", job}).code, 0);
  EXPECT_TRUE(wait_until([&] { return !is_running(pids.at(0)); })) << "an orphan is left";
}

TEST_F(ServeJobs, AreRefusedWhereNothingCanBeServed) {
  job_ = "nobody";
  const auto file = cluster_.path() / "job.yaml";
  std::ofstream(file) << "version: 1\nkind: serve\nname: answers\nmodel: {source: \"ckpt:nobody\"}\n";
  const auto refused = cluster_.submit({"submit", "-f", file.string()});
  EXPECT_EQ(refused.code, 3);
  EXPECT_NE(refused.err.find("there is no training job \"nobody\""), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace ds::tests
