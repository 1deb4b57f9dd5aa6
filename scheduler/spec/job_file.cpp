#include "scheduler/spec/job_file.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/utf8.hpp"
#include "scheduler/spec/yaml_document.hpp"

namespace ds::scheduler {
namespace {

constexpr std::size_t kMaxErrors = 50;

/// A name for a job whose file gives none: the kind and 32 bits of the text's FNV-1a hash.
std::string name_after(std::string_view text, JobKind kind) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  std::string name(to_string(kind));
  name += '-';
  for (int shift = 60; shift >= 32; shift -= 4) name += "0123456789abcdef"[(hash >> shift) & 0xFU];
  return name;
}

/// What the file says; training unless it is of another kind.
JobKind find_kind(const YamlNode& root) {
  const auto kind = std::ranges::find(root.entries, "kind", &YamlEntry::key);
  if (kind == root.entries.end() || kind->value.kind != YamlNode::Kind::scalar) return JobKind::train;
  for (const JobKind one : {JobKind::command, JobKind::serve}) {
    if (kind->value.text == to_string(one)) return one;
  }
  return JobKind::train;
}

std::span<const Known> keys_of(JobKind kind) {
  switch (kind) {
    case JobKind::command:
      return keys::kCommand;
    case JobKind::serve:
      return keys::kServe;
    case JobKind::train:
      break;
  }
  return keys::kTrain;
}

/// Refuses a file of another version or kind. Alone, because its other fields would only be misread.
std::optional<SpecError> refuse_other_format(const YamlNode& root) {
  for (const YamlEntry& entry : root.entries) {
    const YamlNode& value = entry.value;
    const bool is_scalar = value.kind == YamlNode::Kind::scalar;
    if (entry.key == "version" && (!is_scalar || value.is_quoted || value.text != "1")) {
      return SpecError{"version", value.mark, "expected 1, got " + describe(value),
                       "this version reads job files of version 1 only"};
    }
    const bool is_other_kind =
        is_scalar && std::any_of(keys::kKinds.begin(), keys::kKinds.end(), [&](const Known& kind) {
          return kind.name == value.text && kind.support == Known::Support::not_yet;
        });
    if (entry.key == "kind" && is_other_kind) {
      return SpecError{"kind", value.mark, to_quoted(value.text) + " is not supported by this version yet",
                       "use " + list_names(keys::kKinds)};
    }
  }
  return std::nullopt;
}

std::vector<SpecError> take_errors_of(std::string_view field, Findings& findings) {
  auto errors = findings.take_errors(std::numeric_limits<std::size_t>::max());
  std::erase_if(errors, [&](const SpecError& error) { return error.field != field; });
  return errors;
}

}  // namespace

std::variant<ParsedJob, std::vector<SpecError>> parse_job_file(std::string_view text,
                                                               std::string_view directory) {
  auto document = parse_yaml(text);
  if (auto* error = std::get_if<SpecError>(&document)) return std::vector{std::move(*error)};
  return parse_job_tree(std::get<YamlNode>(document), text, directory);
}

std::variant<ParsedJob, std::vector<SpecError>> parse_job_tree(const YamlNode& root, std::string_view text,
                                                               std::string_view directory) {
  if (root.kind != YamlNode::Kind::mapping) {
    return std::vector{
        SpecError{"", root.mark, "expected a mapping, got " + describe(root), "such as kind: train"}};
  }
  if (auto error = refuse_other_format(root)) return std::vector{*std::move(error)};
  Findings findings;
  ParsedJob job;
  job.spec.kind = find_kind(root);
  job.spec.name = name_after(text, job.spec.kind);
  const Section section(root, "", root.mark, keys_of(job.spec.kind), findings);
  section.require("kind", "such as train");
  std::string kind;
  section.read_choice("kind", kind, keys::kKinds);
  // Of what kind the other fields are nobody knows then.
  if (findings.has_error_in("kind")) return take_errors_of("kind", findings);
  switch (job.spec.kind) {
    case JobKind::command:
      read_command_job(section, job.spec);
      break;
    case JobKind::serve:
      read_serve_job(section, directory, job.spec);
      break;
    case JobKind::train:
      read_train_job(section, directory, job.spec);
      break;
  }
  if (!findings.empty()) return findings.take_errors(kMaxErrors);
  job.marks = findings.take_marks();
  return job;
}

std::string format_spec_error(const SpecError& error, std::string_view file) {
  std::string out(file);
  if (error.mark.line != 0) {
    out += ":" + std::to_string(error.mark.line) + ":" + std::to_string(error.mark.column);
  }
  out += ": ";
  if (!error.field.empty()) out += error.field + ": ";
  out += error.message;
  if (!error.hint.empty()) out += "\n  " + error.hint;
  return out;
}

}  // namespace ds::scheduler
