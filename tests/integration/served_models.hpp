#pragma once

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <mutex>
#include <thread>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {

/// A small model of texts that a training job has learnt, served as `answers`.
class ServedModels : public TwoNodes {
 protected:
  using Json = nlohmann::json;

  /// Trains it to its end.
  void train() {
    job_ = cluster_.submit_job(write_job(cluster_.path() / "data", "texts", 3, 1, 1));
    ASSERT_TRUE(cluster_.wait_for_state(job_, "SUCCEEDED")) << cluster_.logs();
  }

  std::string checkpoint() const { return "{source: \"ckpt:" + job_ + "@best\"}"; }

  std::filesystem::path write_serve(const std::string& name, const std::string& model,
                                    const std::string& more) {
    const auto file = cluster_.path() / (name + ".yaml");
    std::ofstream(file) << "version: 1\nkind: serve\nname: " << name << "\nresources: {memory: 512Mi}\n"
                        << "model: " << model << "\n"
                        << more;
    return file;
  }
  std::string serve(const std::string& more) {
    return cluster_.submit_job(write_serve("answers", checkpoint(), more));
  }

  /// Runs a Python script that saves TorchScript files. Its arguments: the cluster's folder, then `more`.
  void run_torch(const std::string& script, const std::vector<std::string>& more = {}) {
    const auto file = (cluster_.path() / "make.py").string();
    std::ofstream(file) << "import sys, torch\n" << script;
    std::vector<std::string> words{"/usr/bin/python3", file, cluster_.path().string()};
    words.insert(words.end(), more.begin(), more.end());
    const auto made = run_program(words);
    ASSERT_EQ(made.code, 0) << "python3-torch (deploy/packages.txt) exported no module" << made.err;
  }

  httplib::Client client() const {
    httplib::Client http("http://" + cluster_.address());
    http.set_read_timeout(100);
    return http;
  }
  /// Its connection stays.
  httplib::Client keeping_client() const {
    auto http = client();
    http.set_keep_alive(true);
    http.set_tcp_nodelay(true);
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

  /// The head has heard that they are gone.
  bool knows_none_of(const std::string& job, const std::vector<int>& pids) const {
    const auto known = cluster_.worker_pids(job);
    return std::ranges::none_of(
        pids, [&](int pid) { return std::ranges::find(known, pid) != known.end() || is_running(pid); });
  }

  static Json request(const std::vector<std::string>& texts) {
    Json input{{"name", "text"}, {"datatype", "BYTES"}, {"shape", {texts.size()}}, {"data", texts}};
    return {{"id", "r1"}, {"inputs", Json::array({std::move(input)})}};
  }

  /// Posts to `answers`; status 0: there was no answer.
  std::pair<int, std::string> post(const std::string& body) const {
    auto http = client();
    const auto answer = http.Post("/v2/models/answers/infer", body, "application/json");
    return answer ? std::pair(answer->status, answer->body) : std::pair(0, std::string("no answer"));
  }
  std::pair<int, std::string> post(const Json& body) const { return post(body.dump()); }

  /// The labels that the model gives; empty on failure.
  static std::vector<std::string> labels_in(const std::string& body) {
    const auto document = Json::parse(body, nullptr, false);
    if (!document.is_object() || !document.contains("outputs")) return {};
    for (const auto& output : document.at("outputs")) {
      if (output.at("name") == "label") return output.at("data").get<std::vector<std::string>>();
    }
    return {};
  }
  std::string label_of(const std::string& text) const {
    const auto labels = labels_in(post(request({text})).second);
    return labels.size() == 1 ? labels.front() : std::string();
  }

  std::string job_;
};

/// Clients that ask one thing again and again until they are stopped.
class Askers {
 public:
  /// `ask` returns what is wrong with an answer; empty: nothing.
  Askers(int count, const std::function<std::string()>& ask) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, ask] {
        while (!stop_) {
          const auto wrong = ask();
          ++answers_;
          if (wrong.empty()) continue;
          const std::lock_guard lock(mutex_);
          ++wrong_;
          first_wrong_ = first_wrong_.empty() ? wrong : first_wrong_;
        }
      });
    }
  }
  ~Askers() { stop(); }
  void stop() {
    stop_ = true;
    for (auto& one : threads_) one.join();
    threads_.clear();
  }
  int answers() const { return answers_; }
  bool have_more_answers(int more) const {
    const int before = answers_;
    return wait_until([&] { return answers_ >= before + more; });
  }
  int wrong() const { return wrong_; }
  std::string first_wrong() const {
    const std::lock_guard lock(mutex_);
    return first_wrong_;
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> answers_{0}, wrong_{0};
  mutable std::mutex mutex_;
  std::string first_wrong_;
  std::vector<std::thread> threads_;
};

}  // namespace ds::tests
