#include "scheduler/policy/quarantine.hpp"

#include <algorithm>
#include <map>
#include <string_view>

namespace ds::scheduler {
namespace {

struct Accusers {
  std::set<std::string_view> all;                         ///< jobs that crashed early on the node
  std::map<std::string_view, std::int64_t> latest_alone;  ///< by job that did so on no other, the last time
};

/// By node.
std::map<std::string_view, Accusers> find_accusers(std::span<const EarlyCrash> crashes) {
  std::map<std::string_view, std::map<std::string_view, std::int64_t>> latest;  // by job and node
  for (const EarlyCrash& crash : crashes) {
    const auto [at, is_new] = latest[crash.job].try_emplace(crash.node, crash.at_ms);
    if (!is_new) at->second = std::max(at->second, crash.at_ms);
  }
  std::map<std::string_view, Accusers> found;
  for (const auto& [job, nodes] : latest) {
    for (const auto& [node, at_ms] : nodes) {
      found[node].all.insert(job);
      if (nodes.size() == 1) found[node].latest_alone.emplace(job, at_ms);
    }
  }
  return found;
}

}  // namespace

std::optional<Quarantine> choose_quarantine(std::span<const EarlyCrash> crashes,
                                            const std::set<std::string, std::less<>>& open,
                                            std::int64_t now_ms) {
  if (open.size() < 2) return std::nullopt;
  const auto after_ms = now_ms - std::chrono::milliseconds(kQuarantineWindow).count();
  for (const auto& [node, jobs] : find_accusers(crashes)) {
    if (!open.contains(node)) continue;
    std::size_t count = 0;
    std::string names;
    for (const auto& [job, at_ms] : jobs.latest_alone) {
      if (at_ms <= after_ms) continue;
      ++count;
      names += (names.empty() ? "" : ", ") + std::string(job);
    }
    if (count < kQuarantineJobs) continue;
    return Quarantine{std::string(node), "workers of " + std::to_string(count) +
                                             " jobs crashed there soon after they had started: " + names};
  }
  return std::nullopt;
}

std::optional<std::string> choose_cleared(std::span<const EarlyCrash> crashes,
                                          const std::set<std::string, std::less<>>& quarantined) {
  for (const auto& [node, jobs] : find_accusers(crashes)) {
    const bool was_accused = jobs.all.size() >= kQuarantineJobs;
    if (was_accused && jobs.latest_alone.size() < kQuarantineJobs && quarantined.contains(node))
      return std::string(node);
  }
  return std::nullopt;
}

}  // namespace ds::scheduler
