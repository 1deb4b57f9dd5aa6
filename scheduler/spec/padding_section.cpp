// `batching.padding` of a `serve` job: to which lengths inputs are padded.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr WholeRange kLengths{1, 1'048'576};
constexpr std::size_t kMostBuckets = 16, kMostSizes = 4, kMostShapes = 64;
constexpr std::size_t kMostNames = 60, kMostNameBytes = 256;
constexpr RealRange kValues{.low = -1e30, .high = 1e30, .words = "from -1e30 to 1e30"};
constexpr double kRoundedTolerance = 0.02;  // BF16 has 8 bits: what padding adds to a sum rounds it otherwise
constexpr RealRange kTolerances{.low = 0, .low_open = true, .high = 0.1, .words = "above 0, at most 0.1"};
constexpr const char* kBucketsHint = "such as [16, 32, 64]: each input is padded to the first that holds it";

std::optional<std::vector<std::uint64_t>> read_lengths(const YamlNode& node, const std::string& path,
                                                       Findings& findings) {
  if (node.kind != YamlNode::Kind::sequence || node.items.empty() || node.items.size() > kMostBuckets) {
    findings.add_error(path, node.mark, "expected a list of 1 to 16 lengths, got " + describe(node),
                       kBucketsHint);
    return std::nullopt;
  }
  std::vector<std::uint64_t> lengths;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const std::string item = path + "[" + std::to_string(i) + "]";
    const auto length = read_whole(node.items[i], item, kLengths, findings);
    if (!length) return std::nullopt;
    if (!lengths.empty() && *length <= lengths.back()) {
      findings.add_error(item, node.items[i].mark,
                         "expected more than the one before (" + std::to_string(lengths.back()) + "), got " +
                             std::to_string(*length),
                         kBucketsHint);
      return std::nullopt;
    }
    lengths.push_back(*length);
  }
  return lengths;
}

/// A length, a list of them, or a list of such lists: one for each variable size.
void read_buckets(const Section& padding, std::vector<std::vector<std::uint64_t>>& buckets) {
  padding.require("buckets", kBucketsHint);
  const YamlNode* node = padding.find("buckets");
  if (node == nullptr) return;
  const std::string path = padding.path_of("buckets");
  if (node->kind == YamlNode::Kind::scalar) {
    if (const auto one = read_whole(*node, path, kLengths, padding.findings())) buckets = {{*one}};
    return;
  }
  const bool is_nested = node->kind == YamlNode::Kind::sequence && !node->items.empty() &&
                         node->items.front().kind == YamlNode::Kind::sequence;
  if (!is_nested) {
    if (auto lengths = read_lengths(*node, path, padding.findings())) buckets = {*std::move(lengths)};
    return;
  }
  if (node->items.size() > kMostSizes)
    return padding.fail("buckets", "expected at most 4 lists, one for each variable size, got " +
                                       std::to_string(node->items.size()));
  std::vector<std::vector<std::uint64_t>> all;
  std::size_t shapes = 1;
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    auto lengths = read_lengths(node->items[i], path + "[" + std::to_string(i) + "]", padding.findings());
    if (!lengths) return;
    shapes *= lengths->size();
    all.push_back(*std::move(lengths));
  }
  if (shapes > kMostShapes) {
    return padding.fail("buckets",
                        "these make " + std::to_string(shapes) + " shapes, and " +
                            std::to_string(kMostShapes) + " are the most",
                        "each is tried before a replica is ready");
  }
  buckets = std::move(all);
}

bool is_named(const std::vector<ServedTensor>& tensors, std::string_view name) {
  return tensors.empty() || std::ranges::find(tensors, name, &ServedTensor::name) != tensors.end();
}

/// A number for all inputs, or a mapping by their names.
void read_value(const Section& padding, const ServeSpec& serve, PaddingSpec& out) {
  const YamlNode* node = padding.find("value");
  if (node == nullptr || node->kind != YamlNode::Kind::mapping)
    return padding.read("value", out.value, kValues);
  if (node->entries.empty() || node->entries.size() > kMostNames)
    return padding.fail("value", "expected a number, or a mapping with 1 to 60 inputs",
                        "such as {tokens: 0}");
  for (const YamlEntry& entry : node->entries) {
    const std::string path = join_path(padding.path_of("value"), entry.key);
    if (out.values.contains(entry.key)) {
      padding.findings().add_error(path, entry.key_mark, "given twice", "remove one of the two");
    } else if (!is_named(serve.inputs, entry.key)) {
      padding.findings().add_error(path, entry.key_mark, "model.inputs has no input " + to_quoted(entry.key));
    } else if (const auto value = read_real(entry.value, path, kValues, padding.findings())) {
      out.values[entry.key] = *value;
    }
  }
}

void read_cut(const Section& padding, const ServeSpec& serve, std::vector<std::string>& cut) {
  padding.read_texts("cut", cut, {.max_bytes = kMostNameBytes}, {1, kMostNames});
  for (std::size_t i = 0; i < cut.size(); ++i) {
    if (std::find(cut.begin(), cut.begin() + static_cast<std::ptrdiff_t>(i), cut[i]) !=
        cut.begin() + static_cast<std::ptrdiff_t>(i))
      return padding.fail("cut", "given twice: " + to_quoted(cut[i]), "name each output once");
    if (!is_named(serve.outputs, cut[i]))
      return padding.fail("cut", "model.outputs has no output " + to_quoted(cut[i]));
  }
}

/// As far as the file says what the model takes.
void check_inputs(const Section& batching, std::size_t lists, const std::vector<ServedTensor>& inputs) {
  if (inputs.empty() || lists == 0) return;  // told already
  std::size_t most = 0;
  for (const ServedTensor& input : inputs) {
    if (input.shape.empty()) return;  // told already
    const auto open = static_cast<std::size_t>(std::count(input.shape.begin() + 1, input.shape.end(), -1));
    most = std::max(most, open);
    if (open > lists) {
      return batching.fail("padding",
                           "input " + to_quoted(input.name) + " has " + std::to_string(open) +
                               " variable sizes besides the batch, and there is a list of buckets for " +
                               std::to_string(lists),
                           "say a list for each size: buckets: [[32, 64], [32, 64]]");
    }
  }
  if (most == 0) {
    batching.fail("padding", "no input of model.inputs has a variable size besides the batch",
                  "say -1 for the size that is padded: shape: [-1, -1]");
  } else if (most < lists) {
    batching.fail("padding", "there are " + std::to_string(lists) +
                                 " lists of buckets, and no input of model.inputs has more than " +
                                 std::to_string(most) + " variable sizes besides the batch");
  }
}

}  // namespace

void read_padding(const Section& batching, JobSpec& spec) {
  ServeSpec& serve = *spec.serve;
  const auto section = batching.open("padding", keys::kPadding);
  if (!section) return;
  if (serve.batching.mode == "off")
    batching.fail("padding", "padding is for batches, and batching.mode is off");
  PaddingSpec& padding = serve.batching.padding.emplace();
  if (spec.precision == "bf16") padding.tolerance = kRoundedTolerance;
  read_buckets(*section, padding.buckets);
  read_value(*section, serve, padding);
  read_cut(*section, serve, padding.cut);
  section->read("tolerance", padding.tolerance, kTolerances);
  check_inputs(batching, padding.buckets.size(), serve.inputs);
}

}  // namespace ds::scheduler
