#include <algorithm>
#include <string>
#include <vector>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler {
namespace {

bool has_text(const SourceSpec& source) {
  return source.format == "text" ||
         std::any_of(source.columns.begin(), source.columns.end(),
                     [](const FieldColumns& field) { return field.field == "text"; });
}

std::vector<std::string> fields_of(const SourceSpec& source) {
  std::vector<std::string> names;
  for (const FieldColumns& field : source.columns) names.push_back(field.field);
  std::sort(names.begin(), names.end());
  return names;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// The model reads the same fields while training and validating, and transforms change fields that there
/// are.
void check_fields(const Section& section, const DataSpec& data) {
  if (section.findings().has_error_in(section.path())) return;
  const std::vector<std::string> fields = fields_of(data.train);
  if (data.validate && fields_of(*data.validate) != fields) {
    section.fail("validate", "expected the fields of data.train (" + join(fields) + "), got (" +
                                 join(fields_of(*data.validate)) + ")");
  }
  if (fields.empty()) return;
  for (std::size_t i = 0; i < data.transforms.size(); ++i) {
    const std::string& field = data.transforms[i].field;
    if (field.empty() || std::find(fields.begin(), fields.end(), field) != fields.end()) continue;
    section.findings().add_error(section.path_of("transforms") + "[" + std::to_string(i) + "]",
                                 section.find("transforms")->items[i].mark,
                                 "data.train.columns has no field " + field, "fields there: " + join(fields));
  }
}

}  // namespace

void read_tolerance(const Section& section, std::string_view key, Tolerance& tolerance) {
  const YamlNode* node = section.find(key);
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::mapping) {
    const auto limit = section.open(key, keys::kTolerance);
    limit->require("skip", "how many may be skipped, such as {skip: 50}");
    limit->read("skip", tolerance.most, kStepRange);
    tolerance.skip = true;
  } else if (node->kind == YamlNode::Kind::scalar) {
    std::string word;
    section.read_choice(key, word, keys::kTolerances);
    tolerance.skip = word == "skip";
  } else {
    section.fail(key, "expected fail, skip or {skip: NUMBER}, got " + describe(*node));
  }
}

void read_data(const Section& root, std::string_view directory, DataSpec& data) {
  root.require("data", "such as {train: {source: train.csv, columns: {text: utterance, label: intent}}}");
  const auto section = root.open("data", keys::kData);
  if (!section) return;
  section->require("train", "such as {source: train.csv, columns: {text: utterance, label: intent}}");
  read_source(*section, "train", directory, data.train);
  if (section->has("validate")) read_source(*section, "validate", directory, data.validate.emplace());
  read_transforms(*section, data.transforms);
  section->read("shuffle", data.shuffle);
  read_tolerance(*section, "on_bad_record", data.on_bad_record);
  section->read("shards", data.shards, {0, 1024});
  check_fields(*section, data);
  if (has_text(data.train)) complete_text_transforms(data.transforms);
}

}  // namespace ds::scheduler
