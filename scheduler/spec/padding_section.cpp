// `batching.padding` of a `serve` job: to which lengths inputs are padded.
#include <algorithm>
#include <string>
#include <string_view>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr WholeRange kLengths{1, 1'048'576};
constexpr std::size_t kMostBuckets = 16, kMostNames = 60, kMostNameBytes = 256;
constexpr RealRange kValues{.low = -1e30, .high = 1e30, .words = "from -1e30 to 1e30"};
constexpr RealRange kTolerances{.low = 0, .low_open = true, .high = 0.1, .words = "above 0, at most 0.1"};
constexpr const char* kBucketsHint = "such as [16, 32, 64]: each input is padded to the first that holds it";

void read_buckets(const Section& padding, std::vector<std::uint64_t>& buckets) {
  padding.require("buckets", kBucketsHint);
  padding.read_wholes("buckets", buckets, kLengths, {1, kMostBuckets});
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i] > buckets[i - 1]) continue;
    return padding.findings().add_error(
        padding.path_of("buckets") + "[" + std::to_string(i) + "]", padding.find("buckets")->items[i].mark,
        "expected more than the one before (" + std::to_string(buckets[i - 1]) + "), got " +
            std::to_string(buckets[i]),
        kBucketsHint);
  }
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
      padding.findings().add_error(path, entry.key_mark, "given twice");
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
      return padding.fail("cut", "given twice: " + to_quoted(cut[i]));
    if (!is_named(serve.outputs, cut[i]))
      return padding.fail("cut", "model.outputs has no output " + to_quoted(cut[i]));
  }
}

/// As far as the file says what the model takes.
void check_inputs(const Section& batching, const std::vector<ServedTensor>& inputs) {
  if (inputs.empty()) return;
  bool is_any = false;
  for (const ServedTensor& input : inputs) {
    if (input.shape.empty()) return;  // told already
    const auto open = std::count(input.shape.begin() + 1, input.shape.end(), -1);
    is_any |= open == 1;
    if (open > 1) {
      return batching.fail("padding", "input " + to_quoted(input.name) + " has " + std::to_string(open) +
                                          " variable sizes besides the batch, and one can be padded");
    }
  }
  if (!is_any) {
    batching.fail("padding", "no input of model.inputs has a variable size besides the batch",
                  "say -1 for the size that is padded: shape: [-1, -1]");
  }
}

}  // namespace

void read_padding(const Section& batching, ServeSpec& serve) {
  const auto section = batching.open("padding", keys::kPadding);
  if (!section) return;
  if (serve.batching.mode == "off")
    batching.fail("padding", "padding is for batches, and batching.mode is off");
  PaddingSpec& padding = serve.batching.padding.emplace();
  read_buckets(*section, padding.buckets);
  read_value(*section, serve, padding);
  read_cut(*section, serve, padding.cut);
  section->read("tolerance", padding.tolerance, kTolerances);
  check_inputs(batching, serve.inputs);
}

}  // namespace ds::scheduler
