// `traffic` of a `serve` job: which part of the requests goes to which version.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::size_t kMostParts = 8;
constexpr const char* kHint = "such as {prod: 90, canary: 10}, of tags or versions of the model";

}  // namespace

void read_traffic(const Section& root, JobSpec& spec) {
  const YamlNode* node = root.find("traffic");
  if (node == nullptr) return;
  const ServedSource& source = spec.serve->source;
  if (node->kind != YamlNode::Kind::mapping || node->entries.empty() || node->entries.size() > kMostParts)
    return root.fail("traffic", "expected a mapping with 1 to 8 shares, got " + describe(*node), kHint);
  if (source.kind != ServedSource::Kind::registry || !source.reference.empty()) {
    return root.fail("traffic", "only a model of the registry has versions to share requests among",
                     "model: {source: \"registry:NAME\"}, without a tag: traffic names them");
  }
  Findings& findings = root.findings();
  std::uint32_t all = 0;
  std::set<std::string_view> seen;
  for (const YamlEntry& entry : node->entries) {
    const std::string path = join_path("traffic", entry.key);
    if (!is_identifier(entry.key)) {
      findings.add_error(path, entry.key_mark, "expected a tag or a version, got " + to_quoted(entry.key),
                         kHint);
    } else if (!seen.insert(entry.key).second) {
      findings.add_error(path, entry.key_mark, "given twice", "one share for each tag or version");
    } else if (const auto share = read_whole(entry.value, path, {1, 100}, findings)) {
      findings.add_mark(path, entry.value.mark);
      spec.serve->traffic.push_back({entry.key, static_cast<std::uint32_t>(*share)});
      all += static_cast<std::uint32_t>(*share);
    }
  }
  if (findings.has_error_in("traffic")) return;
  // A mapping has no order: the largest first, which is what is meant where a request could be for any.
  std::ranges::sort(spec.serve->traffic, {}, [](const TrafficSpec& part) {
    return std::pair(-static_cast<int>(part.share), std::string_view(part.reference));
  });
  if (all != 100)
    return root.fail("traffic", "expected shares that are 100 together, got " + std::to_string(all), kHint);
  if (spec.workers.max < spec.serve->traffic.size())
    root.fail("traffic",
              "each version needs a replica, and replicas.max is " + std::to_string(spec.workers.max),
              "replicas: {max: " + std::to_string(spec.serve->traffic.size()) + "} or more");
}

}  // namespace ds::scheduler
