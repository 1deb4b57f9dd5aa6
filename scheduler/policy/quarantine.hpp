#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>

namespace ds::scheduler {

/// A worker crashed by itself, less than `kSoonAfterStart` after it was ordered.
struct EarlyCrash {
  std::string node, job;
  std::int64_t at_ms = 0;
  bool is_program = false;  ///< a user's, or a user's model: that it ended alone says nothing of the node
  bool operator==(const EarlyCrash&) const = default;
};

/// A user's program ended with exit code 0 there, or has run for `kSoonAfterStart`; or a model was served.
struct SoundRun {
  std::string node, job;
  auto operator<=>(const SoundRun&) const = default;
};

inline constexpr std::chrono::seconds kSoonAfterStart{60};
/// Early crashes of so many jobs within so long speak against a node.
inline constexpr std::size_t kQuarantineJobs = 3;
inline constexpr std::chrono::minutes kQuarantineWindow{10};

struct Quarantine {
  std::string node, why;
  bool operator==(const Quarantine&) const = default;
};

/// Of the `open` nodes the one on which workers of `kQuarantineJobs` different jobs crashed early of late;
/// none: there is none, or no other node would be open any more.
///
/// A job that crashed early on another node too says nothing about either: it is its own fault, or one of
/// what all nodes share. A user's program, or model, speaks against a node only if it has a sound run on
/// another and none there: one that fails wherever it runs is no fault of a node. Of several nodes the first
/// by name. Pure.
std::optional<Quarantine> choose_quarantine(std::span<const EarlyCrash> crashes,
                                            const std::set<SoundRun>& sound,
                                            const std::set<std::string, std::less<>>& open,
                                            std::int64_t now_ms);

/// One of the `quarantined` nodes that too few jobs speak against any more, because some have crashed
/// elsewhere since, or programs have had a sound run there; none: there is none. That crashes are long ago
/// clears no node. Pure.
std::optional<std::string> choose_cleared(std::span<const EarlyCrash> crashes,
                                          const std::set<SoundRun>& sound,
                                          const std::set<std::string, std::less<>>& quarantined);

}  // namespace ds::scheduler
