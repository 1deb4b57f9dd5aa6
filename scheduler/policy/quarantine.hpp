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
  bool operator==(const EarlyCrash&) const = default;
};

inline constexpr std::chrono::seconds kSoonAfterStart{60};
/// Early crashes of so many jobs within so long speak against a node.
inline constexpr std::size_t kQuarantineJobs = 3;
inline constexpr std::chrono::minutes kQuarantineWindow{10};

struct Quarantine {
  std::string node, why;
  bool operator==(const Quarantine&) const = default;
};

/// The node on which workers of `kQuarantineJobs` different jobs crashed early of late; none: there is none,
/// or not one that stands out.
///
/// A job that crashed early on another node too says nothing about either: it is its own fault, or one of
/// what all nodes share. So not all of a cluster is ever quarantined for one cause. Of several nodes that are
/// not quarantined `already` the first by name. Pure.
std::optional<Quarantine> choose_quarantine(std::span<const EarlyCrash> crashes,
                                            const std::set<std::string, std::less<>>& already,
                                            std::int64_t now_ms);

}  // namespace ds::scheduler
