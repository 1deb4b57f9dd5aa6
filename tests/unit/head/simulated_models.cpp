// The models that owners of a simulated cluster register and serve.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "actors/head/head_actor.hpp"
#include "tests/unit/head/simulated_cluster.hpp"
#include "tests/unit/head/simulated_replica.hpp"

namespace ds::head::test {

/// What `file:model.pt` is from now on.
void SimulatedCluster::write_model_file() {
  static const std::vector<std::string> kContents{"good", "better", SimulatedReplica::kBadFile};
  std::ofstream(still_.folder() / "model.pt") << kContents[pick(kContents.size())];
}

/// Of the registry, of a training job, or of a file; also of one that is served, whose file may be another by
/// now.
std::string SimulatedCluster::random_serving() {
  std::vector<const Submission*> trainings, files;
  for (const auto& one : submissions_) {
    if (one.id.empty()) continue;
    if (one.text.find("kind: train") != std::string::npos) trainings.push_back(&one);
    if (one.text.find("file:model.pt") != std::string::npos) files.push_back(&one);
  }
  if (!files.empty() && chance(40)) {
    if (chance(70)) write_model_file();
    return files[pick(files.size())]->text;
  }
  std::string source = "file:model.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 2]}]";
  if (!trainings.empty() && chance(70)) {
    const bool is_registered = watch_.ledger().registry().find("learnt") != nullptr;
    source = is_registered && chance(80) ? "registry:learnt@prod\""
                                         : "ckpt:" + trainings[pick(trainings.size())]->id + "@newest\"";
  }
  std::string text = "version: 1\nkind: serve\nname: model-" + std::to_string(pick(2)) + "\n";
  text += "model: {source: \"" + source + "}\n";
  text += "resources: {cpus: 0.5, memory: 64Mi}\nreplicas: {min: " + std::to_string(pick(2)) + ", max: 2}\n";
  text += "autoscale: {target: 1, down_delay: 3s, to_zero_after: 5s}\ndrain: 1s\n";
  text += "tenant: " + std::string(chance(50) ? "a" : "b") + "\n";
  text += "priority: " + std::to_string(100 * (1 + pick(9))) + "\n";
  return text;
}

/// Versions come from what was trained; tags move, and what is served follows.
void SimulatedCluster::change_models() {
  const std::string version = std::to_string(1 + pick(3));
  switch (pick(7)) {
    case 0:
      return request("models/learnt/promote", R"({"tag": "prod", "to": ")" + version + "\"}");
    case 1:
      return request("models/learnt/rollback", R"({"tag": "prod"})");
    case 2:
      return request("models/learnt/remove", "{\"version\": " + version + "}");
    default:
      break;
  }
  std::vector<std::string> trainings;
  for (const auto& one : submissions_) {
    if (!one.id.empty() && one.text.find("kind: train") != std::string::npos) trainings.push_back(one.id);
  }
  if (trainings.empty()) return;
  const auto& source = trainings[pick(trainings.size())];
  const std::string step = chance(50) ? "newest" : std::to_string(20 * (1 + pick(3)));
  request("models/learnt/versions", R"({"tag": "prod", "from": "ckpt:)" + source + "@" + step + "\"}");
}

/// Once something is, versions come and go while they are served, and heads die.
void SimulatedCluster::serve_what_was_trained(int events) {
  const auto has_checkpoint = [this](const Submission& one) {
    const auto* job = watch_.ledger().find(one.id);
    return job != nullptr && job->checkpoint_step > 0;
  };
  if (!head_) start_head();
  for (int i = 0; i < 60 && std::ranges::none_of(submissions_, has_checkpoint); ++i) {
    pass_time(500);
    settle();
  }
  if (std::ranges::none_of(submissions_, has_checkpoint)) return;
  const auto most = submissions_.size() + 4;
  for (int i = 0; i < events && !::testing::Test::HasFailure(); ++i) {
    switch (head_ ? pick(13) : pick(4)) {
      case 0:
      case 1:
        head_ ? kill_head() : start_head();
        break;
      case 2:
      case 3:
        pass_time(static_cast<std::int64_t>(pick(4'000)));
        break;
      case 4:
        if (submissions_.size() < most) submit(random_serving());
        break;
      case 5:
      case 6:
      case 7:
        change_models();
        break;
      case 8:
      case 9:
        infer();
        break;
      default:
        settle();
    }
  }
}

/// Somebody asks a model, or whether it is ready: one that sleeps wakes.
void SimulatedCluster::infer() {
  std::vector<router::Ask> asks(1 + pick(4));
  const auto model = "model-" + std::to_string(pick(2));
  for (auto& ask : asks) {
    ask.model = model;
    ask.only_ready = chance(30);
    ask.arrived = std::chrono::steady_clock::now();
    ask.done = [this, alive = is_alive_](const auto& answer) { answers_ += *alive && answer ? 1 : 0; };
  }
  routers_.back()->ask(std::move(asks));
}

/// A version is on trial, and may be proved.
bool SimulatedCluster::has_rollout() const {
  return std::ranges::any_of(submissions_, [this](const Submission& one) {
    const auto* job = watch_.ledger().find(one.id);
    return job != nullptr && !scheduler::is_end(job->state) &&
           std::ranges::any_of(job->lines, [](const auto& line) { return line.version != line.good; });
  });
}

}  // namespace ds::head::test
