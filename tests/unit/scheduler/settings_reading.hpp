#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/spec/findings.hpp"
#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/yaml_document.hpp"

namespace ds::scheduler::testing {

/// What the readers make of a job file, those of settings included that the format has and this version does
/// not run yet.
struct Reading {
  JobSpec spec;
  std::vector<std::string> errors;
};

inline Reading read_settings(std::string_view text) {
  Reading reading;
  const auto document = parse_yaml(text);
  if (const auto* error = std::get_if<SpecError>(&document)) {
    reading.errors.push_back(format_spec_error(*error, "f"));
    return reading;
  }
  const auto& root = std::get<YamlNode>(document);
  Findings findings;
  const Section section(root, "", root.mark, keys::kTrain, findings);
  read_train_job(section, "/jobs", reading.spec);
  for (const SpecError& error : findings.take_errors(50)) {
    const bool is_not_yet = error.message == "not supported by this version yet" ||
                            error.message.ends_with("\" is not supported by this version yet");
    if (!is_not_yet) reading.errors.push_back(format_spec_error(error, "f"));
  }
  return reading;
}

/// A job on texts with a validation set; `more` adds sections, or replaces those of the same name.
inline std::string text_job_with(std::string_view more) {
  std::string text;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (more.find(std::string("\n") + std::string(key)) == std::string_view::npos && !more.starts_with(key))
      text += std::string(key) + std::string(value) + "\n";
  };
  add("kind:", " train");
  add("model:", " {zoo: text_classifier}");
  add("until:", " {epochs: 5}");
  add("data:",
      "\n  train: {source: a.csv, columns: {text: t, label: l}}"
      "\n  validate: {source: b.csv, columns: {text: t, label: l}}");
  return text + std::string(more) + "\n";
}

}  // namespace ds::scheduler::testing
