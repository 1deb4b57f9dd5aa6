#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/served_models.hpp"

namespace ds::tests {

/// A model of whole numbers, served as `answers`, whose version N answers x * 16 + N. No number is asked for
/// twice in a test, so each answer shows to whom it belongs and which version gave it: one that is another
/// request's, old, or put together from several is wrong.
class NumberedRequests : public ServedModels {
 protected:
  static constexpr std::int64_t kVersions = 16;

  /// Saves `versionN.pt` for N = 1 … count.
  void write_versions(int count) {
    ASSERT_LT(count, kVersions);
    ASSERT_NO_FATAL_FAILURE(
        run_torch("class Number(torch.nn.Module):\n"
                  "    def __init__(self, version: int):\n"
                  "        super().__init__()\n"
                  "        self.version = version\n"
                  "    def forward(self, x):\n"
                  "        return x * 16 + self.version\n"
                  "for version in range(1, int(sys.argv[2]) + 1):\n"
                  "    torch.jit.script(Number(version)).save(sys.argv[1] + f'/version{version}.pt')\n",
                  {std::to_string(count)}));
  }
  std::string file_of(int version) const {
    return (cluster_.path() / ("version" + std::to_string(version) + ".pt")).string();
  }
  static std::string model_of(const std::string& source) {
    return "{source: \"" + source +
           "\", inputs: [{name: x, datatype: INT64, shape: [-1, 1]}], outputs: [{name: y}]}";
  }

  /// What was said: by which version (0: by none), and what is wrong with it.
  struct Said {
    int version = 0;
    std::string wrong;
  };
  /// Asks for one to three numbers that nobody has asked for. Silence is wrong but while the head is away.
  Said ask(httplib::Client& http, const std::string& route = {}) {
    const Asked asked = begin();
    const std::string id = "request " + std::to_string(asked.numbers.front());
    Json input{{"name", "x"}, {"datatype", "INT64"}, {"shape", {asked.numbers.size(), 1}}};
    input["data"] = asked.numbers;
    const auto answer =
        http.Post("/v2/models/answers" + route + "/infer",
                  Json{{"id", id}, {"inputs", Json::array({std::move(input)})}}.dump(), "application/json");
    end(asked);
    if (!answer) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const bool was_away = asked.was_away || is_head_away_ || asked.head != heads_;
      return {0, was_away ? "" : id + ": no answer, " + httplib::to_string(answer.error())};
    }
    if (answer->status != 200) return {0, id + ": " + std::to_string(answer->status) + " " + answer->body};
    const Said said = read(asked, id, answer->body);
    return {said.version, said.wrong.empty() ? "" : id + ": " + said.wrong + ": " + answer->body};
  }
  Said ask_once(const std::string& route = {}) {
    auto http = client();
    return ask(http, route);
  }
  /// For `Askers`: over a connection that stays.
  std::function<std::string()> asking() {
    return [this] {
      thread_local auto http = keeping_client();
      return ask(http).wrong;
    };
  }

  /// Who asks from now on must be answered by this version; 0: by any.
  void expect_version(int version) { expected_ = version; }

  /// All who have asked until now have heard.
  bool all_have_heard() const {
    const auto until = next_.load();
    return wait_until([&] {
      const std::lock_guard lock(mutex_);
      return under_way_.empty() || *under_way_.begin() >= until;
    });
  }

  /// Requests may find nobody only until the next one listens.
  void kill_head_under_load() {
    is_head_away_ = true;
    cluster_.head().kill_and_wait();
    cluster_.start_head();
    ++heads_;  // before the other, for those that asked the old one and look only now
    is_head_away_ = false;
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  }

  /// Of replicas that take requests.
  std::vector<int> serving_pids(const std::string& job) const {
    std::vector<int> pids;
    const auto now = cluster_.status(job);
    if (!now.is_object()) return pids;
    for (const auto& worker : now.at("workers")) {
      if (worker.at("state") == "SERVING" && worker.at("pid").is_number()) pids.push_back(worker.at("pid"));
    }
    std::erase_if(pids, [](int pid) { return !is_running(pid); });
    return pids;
  }

 private:
  struct Asked {
    std::vector<std::int64_t> numbers;
    int expected = 0;
    int head = 0;
    bool was_away = false;
  };

  Asked begin() {
    Asked asked;
    const std::lock_guard lock(mutex_);
    const auto first = next_.load();
    for (auto number = first; number <= first + first % 3; ++number) asked.numbers.push_back(number);
    next_ = asked.numbers.back() + 1;
    under_way_.insert(first);
    asked.expected = expected_;
    asked.head = heads_;
    asked.was_away = is_head_away_;
    return asked;
  }
  void end(const Asked& asked) {
    const std::lock_guard lock(mutex_);
    under_way_.erase(asked.numbers.front());
  }

  static Said read(const Asked& asked, const std::string& id, const std::string& body) try {
    const auto document = Json::parse(body);
    if (document.at("id") != id) return {0, "another request's answer"};
    const int version = std::stoi(document.at("model_version").get<std::string>());
    const auto& output = document.at("outputs").at(0);
    if (output.at("shape") != Json{asked.numbers.size(), 1}) return {version, "another shape"};
    Json right = Json::array();
    for (const auto number : asked.numbers) right.push_back(number * kVersions + version);
    if (output.at("data") != right) return {version, "expected " + right.dump()};
    if (asked.expected != 0 && version != asked.expected)
      return {version, "expected version " + std::to_string(asked.expected)};
    return {version, ""};
  } catch (const std::exception& error) {
    return {0, error.what()};
  }

  std::atomic<std::int64_t> next_{1};
  std::atomic<int> expected_{0}, heads_{0};
  std::atomic<bool> is_head_away_{false};
  mutable std::mutex mutex_;
  std::set<std::int64_t> under_way_;  ///< by their first number
};

}  // namespace ds::tests
