#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

/// Reads `data.train` or `data.validate`.
void read_source(const Section& data, std::string_view key, std::string_view directory, CsvSource& source) {
  const auto section = data.open(key, keys::kSource);
  if (!section) return;
  section->require("source", "the path of a CSV file");
  section->require("columns", "such as {text: utterance, label: intent}");
  std::string path;
  section->read_text("source", path, {.max_bytes = 4096});
  if (path.find("://") != std::string::npos) {
    section->fail("source", "expected the path of a file, got " + to_quoted(path),
                  "other sources are not supported by this version yet");
  } else if (!path.empty()) {
    source.path = (std::filesystem::path(directory) / path).lexically_normal().string();
  }
  std::string format;
  section->read_choice("format", format, keys::kFormats);
  const auto columns = section->open("columns", keys::kColumns);
  if (!columns) return;
  columns->require("text", "the name of the column with the text");
  columns->require("label", "the name of the column with the label");
  columns->read_text("text", source.text_column, {});
  columns->read_text("label", source.label_column, {});
}

/// Reads one item of `data.transforms`; returns its place in the list of known ones, none when it is faulty.
std::optional<std::size_t> read_transform(const YamlNode& node, const std::string& path, DataSpec& data,
                                          Findings& findings) {
  if (node.kind != YamlNode::Kind::mapping || node.entries.size() != 1) {
    const std::string got = node.kind == YamlNode::Kind::mapping
                                ? "a mapping of " + std::to_string(node.entries.size()) + " keys"
                                : describe(node);
    findings.add_error(path, node.mark, "expected one transform with its settings, got " + got,
                       "such as tokenize: {vocabulary: 8000}");
    return std::nullopt;
  }
  const Section item(node, path, node.mark, keys::kTransforms, findings);
  if (item.has("tokenize")) {
    if (const auto tokenize = item.open("tokenize", keys::kTokenize)) {
      tokenize->read("vocabulary", data.vocabulary, {3, 10'000'000});
    }
    return 0;
  }
  if (item.has("pad_sequences")) {
    if (const auto pad = item.open("pad_sequences", keys::kPadSequences)) {
      pad->read("length", data.length, {3, 65'536});
    }
    return 1;
  }
  return std::nullopt;
}

void read_transforms(const Section& section, DataSpec& data) {
  const YamlNode* list = section.find("transforms");
  if (list == nullptr) return;
  if (list->kind != YamlNode::Kind::sequence) {
    section.fail("transforms", "expected a list, got " + describe(*list),
                 "such as [tokenize: {vocabulary: 8000}]");
    return;
  }
  std::array<bool, keys::kTransforms.size()> seen{};
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    const YamlNode& node = list->items[i];
    const std::string path = section.path_of("transforms") + "[" + std::to_string(i) + "]";
    DataSpec read = data;
    const auto which = read_transform(node, path, read, section.findings());
    if (!which) continue;
    const std::string name = join_path(path, keys::kTransforms[*which].name);
    if (seen[*which]) {
      section.findings().add_error(name, node.mark, "given twice", "each transform is applied once");
    } else if (*which == 0 && seen[1]) {
      section.findings().add_error(name, node.mark, "expected before pad_sequences",
                                   "texts are cut into tokens first");
    } else {
      data = read;
    }
    seen[*which] = true;
  }
}

}  // namespace

void read_data(const Section& root, std::string_view directory, DataSpec& data) {
  constexpr const char* kExample =
      "such as {train: {source: train.csv, columns: {text: utterance, label: intent}}}";
  root.require("data", kExample);
  const auto section = root.open("data", keys::kData);
  if (!section) return;
  section->require("train", "such as {source: train.csv, columns: {text: utterance, label: intent}}");
  read_source(*section, "train", directory, data.train);
  if (section->has("validate")) read_source(*section, "validate", directory, data.validate.emplace());
  read_transforms(*section, data);
  section->read("shuffle", data.shuffle);
}

}  // namespace ds::scheduler
