#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

namespace ds::scheduler {

/// When a version is given up that a job has just begun to serve, and when it has passed. Of one job; pure,
/// with a steady time.
class VersionTrial {
 public:
  /// Of its replicas, before or after they were ready, while others serve or it has served itself. Where
  /// none is ready and none of its own ever was, requests wait, and one is enough.
  static constexpr std::uint32_t kMostCrashes = 3;
  /// With a replica ready, and none crashed, for so long in all it has passed.
  static constexpr std::chrono::milliseconds kLongEnough{120'000};

  /// A replica of the version ended. True: the version is to be given up, after `most` crashes and as many
  /// more as replicas of other versions crashed meanwhile, which die of the same requests.
  bool on_crash(std::uint64_t version, bool is_any_ready, std::uint32_t most = kMostCrashes) {
    Seen& seen = seen_[version];
    ++seen.crashes;
    seen.ready_for = {};
    if (!seen.was_ready) return seen.crashes >= (is_any_ready ? most : 1U);
    return seen.crashes >= most + crashes_of_others(version);
  }
  void on_ready(std::uint64_t version) { seen_[version].was_ready = true; }
  /// Every now and then: whether one of its replicas is ready.
  void look(std::uint64_t version, bool is_ready, std::chrono::milliseconds now) {
    Seen& seen = seen_[version];
    if (is_ready && seen.ready_at) seen.ready_for += now - *seen.ready_at;
    seen.ready_at = is_ready ? std::optional(now) : std::nullopt;
  }

  std::uint32_t crashes(std::uint64_t version) const { return find(version).crashes; }
  bool was_ready(std::uint64_t version) const { return find(version).was_ready; }
  bool has_passed(std::uint64_t version) const { return find(version).ready_for >= kLongEnough; }

 private:
  struct Seen {
    std::uint32_t crashes = 0;
    bool was_ready = false;
    std::optional<std::chrono::milliseconds> ready_at = {};  ///< at the last look
    std::chrono::milliseconds ready_for{0};                  ///< since the last crash
  };
  Seen find(std::uint64_t version) const {
    const auto found = seen_.find(version);
    return found == seen_.end() ? Seen{} : found->second;
  }
  std::uint32_t crashes_of_others(std::uint64_t version) const {
    std::uint32_t crashes = 0;
    for (const auto& [other, seen] : seen_) crashes += other == version ? 0 : seen.crashes;
    return crashes;
  }

  std::map<std::uint64_t, Seen> seen_;
};

}  // namespace ds::scheduler
