#include <filesystem>
#include <string>
#include <utility>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/source_format.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::size_t kMaxPaths = 1024;
constexpr std::size_t kMaxColumns = 1024;
constexpr TextRule kPathRule{.max_bytes = 4096};

void read_paths(const Section& section, std::string_view key, std::string_view directory,
                std::vector<std::string>& paths) {
  std::vector<std::string> written;
  section.read_texts(key, written, kPathRule, {1, kMaxPaths});
  std::vector<std::string> resolved;
  for (std::size_t i = 0; i < written.size(); ++i) {
    const YamlNode& node = *section.find(key);
    const bool is_list = node.kind == YamlNode::Kind::sequence;
    const std::string field = section.path_of(key) + (is_list ? "[" + std::to_string(i) + "]" : "");
    const Mark mark = is_list ? node.items[i].mark : node.mark;
    auto path = resolve_path(written[i], directory, field, mark, section.findings());
    if (path) resolved.push_back(*std::move(path));
  }
  paths = std::move(resolved);
}

/// Reads `{text: utterance, features: [height, weight], label: intent}`.
void read_columns(const Section& source, std::vector<FieldColumns>& fields, bool has_header) {
  const auto section = source.open("columns", keys::kFields);
  if (!section) return;
  section->require("label", "the name of the column with the label");
  for (const YamlEntry& entry : source.find("columns")->entries) {
    if (section->find(entry.key) != &entry.value) continue;  // unknown or given twice, which is reported
    FieldColumns field{entry.key, {}};
    section->read_texts(entry.key, field.columns, {}, {1, kMaxColumns});
    for (const std::string& column : field.columns) {
      const auto number = parse_whole(column);
      if (!has_header && (number.fault != NumberFault::none || number.value == 0)) {
        section->fail(entry.key, "expected the number of a column, from 1, got " + to_quoted(column),
                      "without a header columns have no names");
        break;
      }
    }
    if (!field.columns.empty()) fields.push_back(std::move(field));
  }
  const bool only_label = fields.size() == 1 && fields.front().field == "label";
  if (only_label && !section->findings().has_error_in(section->path())) {
    source.fail("columns", "expected a column for the model beside label", "such as text: COLUMN");
  }
}

/// The format that is given, or that the first path's name tells; null when there is none, which is reported.
const SourceFormat* read_format(const Section& section, SourceSpec& source) {
  section.read_choice("format", source.format, keys::kFormats);
  if (section.has("format")) return find_source_format(source.format);
  if (source.paths.empty()) return nullptr;
  source.format = format_of_name(source.paths.front());
  // Whatever had text columns was read as CSV before there were other formats.
  if (source.format.empty() && section.has("columns")) source.format = "csv";
  if (source.format.empty()) {
    section.require("format", "the name of the first source does not tell it; such as image_folder");
  }
  return find_source_format(source.format);
}

/// Reports fields that `format` needs or does not take.
void check_fields(const Section& section, const SourceFormat& format) {
  const auto check = [&](const char* key, bool is_taken, const char* needed) {
    if (is_taken && needed != nullptr) section.require(key, needed);
    if (!is_taken && section.has(key)) {
      section.fail(key, "a source of format " + std::string(format.name) + " has no " + key, "remove it");
    }
  };
  check("columns", format.has_columns, "such as {text: utterance, label: intent}");
  check("header", format.has_header, nullptr);
  check("labels", format.has_labels, "the files with the labels or masks, in the order of source");
  check("shape", format.is_raw, "of one sample, such as [1, 28, 28]");
  check("element", format.is_raw, "such as uint8 or float32");
}

void read_records(const Section& source, RecordRange& records) {
  const auto section = source.open("records", keys::kRecords);
  if (!section) return;
  section->read("from", records.from, {0, kStepRange.high});
  std::uint64_t to = 0;
  section->read("to", to, kStepRange);
  if (to == 0) return;
  if (to <= records.from) {
    section->fail(
        "to", "expected more than from (" + std::to_string(records.from) + "), got " + std::to_string(to));
  }
  records.to = to;
}

}  // namespace

std::optional<std::string> resolve_path(const std::string& path, std::string_view directory,
                                        const std::string& field, Mark mark, Findings& findings) {
  if (path.find("://") != std::string::npos) {
    findings.add_error(field, mark, "expected the path of a file, got " + to_quoted(path),
                       "other sources are not supported by this version yet");
    return std::nullopt;
  }
  return (std::filesystem::path(directory) / path).lexically_normal().string();
}

void read_file(const Section& section, std::string_view key, std::string_view directory, std::string& path) {
  std::string written;
  section.read_text(key, written, kPathRule);
  if (written.empty()) return;
  auto resolved =
      resolve_path(written, directory, section.path_of(key), section.find(key)->mark, section.findings());
  if (resolved) path = *std::move(resolved);
}

void read_source(const Section& data, std::string_view key, std::string_view directory, SourceSpec& source) {
  const auto section = data.open(key, keys::kSource);
  if (!section) return;
  section->require("source", "the path of a file, a folder or a glob, or a list of them");
  read_paths(*section, "source", directory, source.paths);
  section->read("header", source.header);
  if (const SourceFormat* format = read_format(*section, source)) check_fields(*section, *format);
  read_columns(*section, source.columns, source.header);
  read_paths(*section, "labels", directory, source.labels);
  std::vector<std::uint64_t> shape;
  section->read_wholes("shape", shape, {1, 1'000'000'000}, {1, 8});
  source.shape.assign(shape.begin(), shape.end());
  section->read_choice("element", source.element, keys::kElements);
  read_records(*section, source.records);
  for (std::string& path : source.paths) {
    if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  }
}

}  // namespace ds::scheduler
