#include "actors/serving/version_picker.hpp"

#include <algorithm>
#include <cstddef>
#include <set>

namespace ds::serving {
namespace {

/// The first line of the version stands for all of that version.
std::size_t line_of(std::span<const VersionLine> lines, std::uint64_t version) {
  const auto found = std::ranges::find(lines, version, &VersionLine::version);
  return found == lines.end() ? 0 : static_cast<std::size_t>(found - lines.begin());
}

/// Those that replicas of the version answer for: its own, and those that only move away from it.
std::set<std::size_t> lines_of(std::span<const VersionLine> lines, std::uint64_t version) {
  std::set<std::size_t> found;
  for (const VersionLine& line : lines) {
    if (line.version == version || line.former == version) found.insert(line_of(lines, line.version));
  }
  if (found.empty()) found.insert(0);
  return found;
}

}  // namespace

std::map<std::uint64_t, double> weigh_versions(std::span<const VersionLine> lines,
                                               const std::map<std::uint64_t, std::uint32_t>& able) {
  std::map<std::uint64_t, double> weights;
  if (lines.empty()) {
    for (const auto& [version, count] : able) weights[version] = count;
    return weights;
  }
  // Lines of one version are one: the first of them has the shares of all.
  std::vector<double> shares(lines.size()), replicas(lines.size());
  for (const VersionLine& line : lines) shares[line_of(lines, line.version)] += line.share;
  // Replicas of a version that several lines have are divided among them as the requests are.
  std::map<std::uint64_t, std::map<std::size_t, double>> parts;
  for (const auto& [version, count] : able) {
    const auto theirs = lines_of(lines, version);
    double all = 0;
    for (const auto line : theirs) all += shares[line];
    for (const auto line : theirs) {
      const double part = all > 0 ? count * shares[line] / all : 0;
      parts[version][line] = part;
      replicas[line] += part;
    }
  }
  for (const auto& [version, by_line] : parts) {
    double& weight = weights[version] = 0;
    for (const auto& [line, part] : by_line) {
      if (part > 0) weight += shares[line] * part / replicas[line];
    }
  }
  return weights;
}

std::optional<std::uint64_t> VersionPicker::pick(const std::map<std::uint64_t, std::uint32_t>& able) {
  if (able.empty()) return std::nullopt;
  if (able.size() == 1) return able.begin()->first;
  const auto weights = weigh_versions(lines_, able);
  std::erase_if(current_, [&](const auto& entry) { return !weights.contains(entry.first); });
  double all = 0;
  for (const auto& [version, weight] : weights) {
    current_[version] += weight;
    all += weight;
  }
  const auto picked = std::ranges::max_element(current_, {}, [](const auto& entry) { return entry.second; });
  picked->second -= all;
  return picked->first;
}

}  // namespace ds::serving
