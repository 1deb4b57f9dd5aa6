// `quantize` of a serve job.
#include <string>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler {

void read_quantize(const Section& root, std::string_view directory, std::optional<QuantizeSpec>& quantize) {
  const YamlNode* node = root.find("quantize");
  if (node == nullptr) return;
  quantize.emplace();
  std::string to = "int8";
  if (node->kind != YamlNode::Kind::mapping) return root.read_choice("quantize", to, keys::kQuantizations);
  const auto section = root.open("quantize", keys::kQuantize);
  section->read_choice("to", to, keys::kQuantizations);
  section->read("max_loss", quantize->max_loss, kUpToOne);
  section->read("max_error", quantize->max_error, kUpToOne);
  if (section->has("eval")) read_source(*section, "eval", directory, quantize->eval.emplace());
}

}  // namespace ds::scheduler
