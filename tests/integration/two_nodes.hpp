#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/cluster.hpp"

namespace ds::tests {

/// A head and two nodes of two slots, and a seed for what happens to them, which a failure names.
class TwoNodes : public ::testing::Test {
 protected:
  void SetUp() override {
    RecordProperty("seed", std::to_string(seed_));
    cluster_.start_head();
    cluster_.start_node("node-1", 2);
    cluster_.start_node("node-2", 2);
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  }

  /// The generations that rank 0 joined, as it said in the job's log, and the step that each went on from.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> generations(const std::string& job) const {
    static const std::regex kJoined("generation ([0-9]+): rank 0 .*, step ([0-9]+)");
    std::vector<std::pair<std::uint64_t, std::uint64_t>> found;
    std::istringstream log(cluster_.submit({"logs", job}).out);
    std::smatch match;
    for (std::string line; std::getline(log, line);) {
      if (std::regex_search(line, match, kJoined))
        found.emplace_back(std::stoull(match[1]), std::stoull(match[2]));
    }
    return found;
  }

  /// Two servers hold everything twice, in the newest generation.
  bool has_whole_servers(const std::string& job) const {
    return wait_until([&] {
      const auto now = cluster_.status(job);
      if (!now.is_object() || cluster_.role_pids(job, "server").size() != 2) return false;
      const auto serves = "generation " + now.at("generation").dump() + ": serves 2 key ranges";
      const auto log = cluster_.submit({"logs", job}).out;
      const auto first = log.find(serves);
      return first != std::string::npos && log.find(serves, first + 1) != std::string::npos;
    });
  }

  void kill_head_and_start_another() {
    cluster_.head().kill_and_wait();
    cluster_.start_head();
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  }

  std::size_t workers_on(const std::string& job, const std::string& node) const {
    const auto now = cluster_.status(job);
    if (!now.is_object()) return 0;
    return static_cast<std::size_t>(std::ranges::count_if(now.at("workers"), [&](const auto& worker) {
      return worker.at("node") == node && worker.at("state") == "TRAINING";
    }));
  }

  /// The codes of what the job waits for, each with a blank behind it.
  std::string codes_of(const std::string& job) const {
    const auto why = cluster_.json({"why", job});
    if (!why.is_object()) return "no answer";
    std::string codes;
    for (const auto& reason : why.at("reasons")) codes += reason.at("code").get<std::string>() + " ";
    return codes;
  }

  const std::uint64_t seed_ = number_of("DS_SEED", std::random_device{}());
  std::mt19937_64 random_{seed_};
  Cluster cluster_;
};

}  // namespace ds::tests
