// A scripted run of a simulated cluster, in which the head dies once, or never.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "tests/unit/head/simulated_cluster.hpp"

namespace ds::head::test {

bool SimulatedCluster::die() {
  const Death death = *death_;
  death_.reset();
  kill_head(death.before ? 0 : 1,
            [&](std::size_t orders) { return death.orders_arrive ? orders : std::size_t{0}; });
  return true;
}

/// An owner who hears nothing asks the next head.
void SimulatedCluster::script_step(const std::string& path, const std::string& body) {
  for (int tries = 0; tries < 3; ++tries) {
    if (!head_) start_head();
    request(path, body);
    settle();
    if (is_answered_) return;
  }
  ADD_FAILURE() << path << " was never answered";
}

void SimulatedCluster::script_job(const std::string& text) {
  submissions_.push_back({"key-" + std::to_string(submissions_.size()),
                          "version: 1\nkind: command\nname: job\nrun: [work]\nrestart: 100\n" + text,
                          {}});
  if (head_) send_submission(submissions_.size() - 1);
  settle();
  if (!head_) start_head();
  settle();
}

void SimulatedCluster::script_time(std::int64_t ms) {
  for (; ms > 0; ms -= kTimeStep_ms) {
    pass_time(kTimeStep_ms);
    settle();
    if (!head_) start_head();
  }
}

/// Jobs of all shapes wait, start, grow, are preempted, moved off a node, paused, scaled, cancelled and
/// retried, by programs of which some crash.
void SimulatedCluster::run_script(std::optional<Death> death) {
  death_ = death;
  const auto of_job = [this](std::size_t job, const std::string& what) {
    return "jobs/" + submissions_.at(job).id + "/" + what;
  };
  script_time(3'000);  // nodes come
  script_job("tenant: b\nworkers: {min: 2, max: 3}\n");
  script_job("tenant: a\nworkers: 2\npreemptible: false\n");
  script_job("tenant: b\nresources: {cpus: 0.5, memory: 64Mi, gpu: 1}\n");
  script_time(2'000);
  script_job("tenant: b\nworkers: 2\npriority: critical\n");
  script_job("tenant: a\ndepends_on: [" + submissions_[1].id + "]\n");
  script_job("tenant: a\ntime_limit: 10s\ndeadline: 1h\n");
  script_time(2'000);
  script_step("nodes/node-1/drain");
  script_time(1'000);
  script_step(of_job(0, "pause"));
  script_step("nodes/node-1/undrain");
  script_time(1'000);
  script_step(of_job(0, "resume"));
  script_step(of_job(2, "cancel"));
  script_step(of_job(2, "retry"));
  script_step(of_job(0, "scale"), R"({"min": 1, "max": 2})");
  script_time(1'000);
  script_step(of_job(4, "priority"), R"({"priority": 900})");
  finish();
}

}  // namespace ds::head::test
