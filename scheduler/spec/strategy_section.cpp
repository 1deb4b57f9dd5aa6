#include <string>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler {
namespace {

/// Reads `top_k` or `{name: top_k, share: 0.01}`.
void read_compression(const Section& root, CompressionSpec& compression) {
  const YamlNode* node = root.find("compression");
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::scalar) {
    root.read_choice("compression", compression.name, keys::kCompressions);
    return;
  }
  const auto section = root.open("compression", keys::kCompression);
  if (!section) return;
  section->require("name", "one of " + list_names(keys::kCompressions));
  section->read_choice("name", compression.name, keys::kCompressions);
  if (section->has("share") && compression.name != "top_k") {
    section->fail("share", compression.name + " has no share", "top_k has it");
  }
  section->read("share", compression.share, kShare);
}

}  // namespace

void read_strategy(const Section& root, StrategySpec& strategy) {
  root.read_choice("strategy", strategy.name, keys::kStrategies);
  root.read_choice("consistency", strategy.consistency, keys::kConsistencies);
  root.read("staleness", strategy.staleness, {1, 1'000'000});
  root.read("servers", strategy.servers, {1, 1024});
  root.read("replicas", strategy.replicas, {0, 7});
  read_compression(root, strategy.compression);
  if (root.findings().has_error_in("strategy")) return;
  if (strategy.name != "parameter_server") {
    for (const char* key : {"consistency", "staleness", "servers", "replicas", "compression"}) {
      if (!root.has(key)) continue;
      root.fail(key, strategy.name + " has no " + key, "strategy: parameter_server has it");
    }
  } else if (root.has("staleness") && strategy.consistency != "bounded") {
    root.fail("staleness", strategy.consistency + " has no staleness", "consistency: bounded has it");
  }
}

}  // namespace ds::scheduler
