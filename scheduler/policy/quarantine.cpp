#include "scheduler/policy/quarantine.hpp"

#include <algorithm>
#include <map>
#include <string_view>

namespace ds::scheduler {
namespace {

struct Accusers {
  std::set<std::string_view> all;  ///< jobs that crashed early on the node
  /// By job that did so on no other, and if it is a program ran well elsewhere: the last time.
  std::map<std::string_view, std::int64_t> latest_alone;
};

bool is_nodes_fault(const EarlyCrash& crash, const std::set<SoundRun>& sound) {
  if (!crash.is_program) return true;
  bool is_sound_elsewhere = false;
  for (const SoundRun& run : sound) {
    if (run.job != crash.job) continue;
    if (run.node == crash.node) return false;
    is_sound_elsewhere = true;
  }
  return is_sound_elsewhere;
}

/// By node.
std::map<std::string_view, Accusers> find_accusers(std::span<const EarlyCrash> crashes,
                                                   const std::set<SoundRun>& sound) {
  std::map<std::string_view, std::map<std::string_view, const EarlyCrash*>> latest;  // by job and node
  for (const EarlyCrash& crash : crashes) {
    const auto [at, is_new] = latest[crash.job].try_emplace(crash.node, &crash);
    if (!is_new && at->second->at_ms < crash.at_ms) at->second = &crash;
  }
  std::map<std::string_view, Accusers> found;
  for (const auto& [job, nodes] : latest) {
    for (const auto& [node, crash] : nodes) {
      found[node].all.insert(job);
      if (nodes.size() == 1 && is_nodes_fault(*crash, sound))
        found[node].latest_alone.emplace(job, crash->at_ms);
    }
  }
  return found;
}

}  // namespace

std::optional<Quarantine> choose_quarantine(std::span<const EarlyCrash> crashes,
                                            const std::set<SoundRun>& sound,
                                            const std::set<std::string, std::less<>>& open,
                                            std::int64_t now_ms) {
  if (open.size() < 2) return std::nullopt;
  const auto after_ms = now_ms - std::chrono::milliseconds(kQuarantineWindow).count();
  for (const auto& [node, jobs] : find_accusers(crashes, sound)) {
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
                                          const std::set<SoundRun>& sound,
                                          const std::set<std::string, std::less<>>& quarantined) {
  for (const auto& [node, jobs] : find_accusers(crashes, sound)) {
    const bool was_accused = jobs.all.size() >= kQuarantineJobs;
    if (was_accused && jobs.latest_alone.size() < kQuarantineJobs && quarantined.contains(node))
      return std::string(node);
  }
  return std::nullopt;
}

}  // namespace ds::scheduler
