#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace ds::serving {

/// A part of a model's requests, and the version that is to have it.
struct VersionLine {
  std::uint64_t version = 1;
  std::uint64_t former = 0;  ///< whose replicas stay until the version's are ready; 0: there is none
  std::uint32_t share = 100;
  std::uint32_t replicas = 0;  ///< of the version that there should be; only shown
  bool operator==(const VersionLine&) const = default;
};

/// Which part of the requests goes to which of the versions that replicas are able to take one of (`able`:
/// how many by version, none with 0).
///
/// A line's share is divided among the replicas of its version and its former one, so that whoever has the
/// most of them gets the most; a version that belongs to no line belongs to the first. Lines without any
/// replica leave their share to the others. The sum is whatever it is. Pure.
std::map<std::uint64_t, double> weigh_versions(std::span<const VersionLine> lines,
                                               const std::map<std::uint64_t, std::uint32_t>& able);

/// Picks versions by their weights, evenly spread: of 90 and 10 every tenth is the other (smooth weighted
/// round robin, as in nginx). Deterministic; one thread.
class VersionPicker {
 public:
  void set_lines(std::vector<VersionLine> lines) { lines_ = std::move(lines); }
  const std::vector<VersionLine>& lines() const { return lines_; }
  /// None: no replica is able.
  std::optional<std::uint64_t> pick(const std::map<std::uint64_t, std::uint32_t>& able);

 private:
  std::vector<VersionLine> lines_;
  std::map<std::uint64_t, double> current_;
};

}  // namespace ds::serving
