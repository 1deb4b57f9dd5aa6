// The jobs that owners of a simulated cluster submit.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "actors/head/head_actor.hpp"
#include "actors/head/submission.hpp"
#include "tests/unit/head/simulated_cluster.hpp"

namespace ds::head::test {

constexpr std::int64_t kNodesComeBack_ms = 2'000;

/// Of a shape that the simulated workers know: what they read and compute is theirs.
std::string SimulatedCluster::random_training() {
  static const std::vector<std::string> kShapes{"{min: 1, max: 1}", "{min: 2, max: 2}", "{min: 1, max: 3}"};
  std::string text =
      "version: 1\nkind: train\nname: learn\nmodel: {zoo: text_classifier}\ndata: {train: {source: "
      "train.csv, "
      "format: csv, columns: {text: utterance, label: intent}}}\nuntil: {epochs: 4}\n";
  text += "workers: " + kShapes[pick(kShapes.size())] + "\n";
  text += chance(50) ? "batch: {global: 32}\n" : "batch: {global: 32, accumulate: 2, max_global: 64}\n";
  return text;
}

std::string SimulatedCluster::random_job() {
  static const std::vector<std::string> kShapes{"1", "1", "2", "{min: 1, max: 3}", "{min: 2, max: 3}"};
  static const std::vector<std::string> kSlotsOfOne{"1", "1", "1", "0.5", "0.3"};
  static const std::vector<std::string> kGpus{"0", "0", "0", "1", "h200:1", "H200:2"};
  if (chance(15)) return random_serving();
  const bool trains = chance(30);
  std::string text = trains ? random_training() : "version: 1\nkind: command\nname: job\nrun: [work]\n";
  text += "resources: {cpus: " + kSlotsOfOne[pick(kSlotsOfOne.size())] + ", memory: 64Mi" +
          (trains ? "" : ", gpu: " + kGpus[pick(kGpus.size())]) + "}\n";
  if (!trains) text += "workers: " + kShapes[pick(kShapes.size())] + "\n";
  text += "tenant: " + std::string(chance(50) ? "a" : "b") + "\n";
  text += "priority: " + std::to_string(100 * (1 + pick(9))) + "\n";
  text += "restart: " + std::to_string(chance(80) ? 100 : 1) + "\n";
  const bool has_limit = chance(10);
  if (has_limit) text += "time_limit: 10s\n";
  if (chance(15)) text += "preemptible: false\n";
  const bool begins_later = chance(10);
  if (begins_later) text += "start_after: 5s\n";
  if (chance(15)) text += "retention: 20s\n";
  const bool may_be_needed = !submissions_.empty() && !submissions_.back().id.empty() &&
                             !is_serving(submissions_.back().text) &&
                             submissions_.back().text.find("retention") == std::string::npos;
  if (may_be_needed && chance(15)) {
    text += "depends_on: [" + submissions_.back().id + "]\n";
  } else if (has_limit && !begins_later) {
    text += chance(80) ? "deadline: 1h\n" : "deadline: 42s\n";  // the last line, see `send_submission`
  }
  return text;
}

void SimulatedCluster::submit(std::string text) {
  submissions_.push_back({"key-" + std::to_string(submissions_.size()), std::move(text), {}});
  if (head_) send_submission(submissions_.size() - 1);
}

void SimulatedCluster::send_submission(std::size_t index) {
  const auto& [key, text, id, is_refused] = submissions_[index];
  gateway::HttpRequest request;
  request.headers["idempotency-key"] = key;
  request.body =
      nlohmann::json{{"file", "job.yaml"}, {"directory", still_.folder().string()}, {"text", text}}.dump();
  const auto respond = [this, index, alive = is_alive_](const gateway::HttpResponse& answer) {
    if (!*alive) return;
    if (answer.status >= 400 && is_serving(submissions_[index].text)) {
      submissions_[index].is_refused = true;  // there is no such model, or another job serves under its name
      return;
    }
    if (answer.status == 409 || answer.status == 503) {  // its deadline cannot be promised, or not yet
      auto& refused = submissions_[index].text;
      ASSERT_NE(refused.find("deadline:"), std::string::npos) << answer.body;
      refused.resize(refused.find("deadline:"));
      return send_submission(index);
    }
    ASSERT_LT(answer.status, 300) << answer.body;
    const std::string given = nlohmann::json::parse(answer.body).at("id");
    auto& submission = submissions_[index];
    EXPECT_TRUE(submission.id.empty() || submission.id == given) << "one key, two jobs";
    EXPECT_NE(watch_.ledger().find(given), nullptr) << "acknowledged before it was durable";
    submission.id = given;
  };
  caf::anon_send(head_, Run{[key = key, checked = check_submission(request), respond](Head& head) {
                   head.on_submission_checked(key, checked, respond);
                 }});
}

/// Somebody wants to know what would become of a job.
void SimulatedCluster::plan() {
  const auto text = random_job();
  gateway::HttpRequest request;
  request.body =
      nlohmann::json{{"file", "job.yaml"}, {"directory", still_.folder().string()}, {"text", text}}.dump();
  const auto respond = [this, alive = is_alive_,
                        serves = is_serving(text)](const gateway::HttpResponse& answer) {
    if (!*alive) return;
    if (answer.status == 503) return;            // it waits for its nodes, or too many ask
    if (answer.status == 409) return;            // its deadline cannot be promised
    if (serves && answer.status == 422) return;  // there is no such model
    ASSERT_EQ(answer.status, 200) << answer.body;
    ++plans_;
    EXPECT_GE(now_ms() - head_began_ms_, kNodesComeBack_ms) << "it can't know its nodes yet";
    const auto document = nlohmann::json::parse(answer.body);
    EXPECT_EQ(document.at("outcome") == "starts", !document.at("placement").empty()) << document;
    EXPECT_EQ(document.at("outcome") == "starts", document.at("reasons").empty()) << document;
  };
  caf::anon_send(head_, Run{[checked = check_submission(request), respond](Head& head) {
                   head.on_draft_checked(checked, respond);
                 }});
}

}  // namespace ds::head::test
