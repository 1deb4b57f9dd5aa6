#include "actors/serving/version_picker.hpp"

#include <algorithm>
#include <cstddef>

namespace ds::serving {
namespace {

std::size_t line_of(std::span<const VersionLine> lines, std::uint64_t version) {
  auto found = std::ranges::find(lines, version, &VersionLine::version);
  if (found == lines.end()) found = std::ranges::find(lines, version, &VersionLine::former);
  return found == lines.end() ? 0 : static_cast<std::size_t>(found - lines.begin());
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
  for (const auto& [version, count] : able) replicas[line_of(lines, version)] += count;
  for (const auto& [version, count] : able) {
    const auto line = line_of(lines, version);
    weights[version] = shares[line] * count / replicas[line];
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
