#pragma once

#include <nlohmann/json_fwd.hpp>

#include "scheduler/spec/yaml_document.hpp"

namespace ds::scheduler {

/// The format of job files (`job_format.hpp`) as JSON Schema, draft 2020-12. Pure. It takes every file that
/// `parse_job_file` takes, and refuses what is unknown, misses, or is of a wrong type or out of its range;
/// rules between fields are not in it.
nlohmann::json job_schema();

/// The fields of the format one by one, the ones of a mapping after it:
/// `{"field","kinds","type","required","supported","default","meaning","example"}`. What is a list's is named
/// like the list: `data.transforms.tokenize`. A field that differs between kinds of jobs is there for each.
/// Pure.
nlohmann::json job_fields();

/// A YAML value as readers of YAML 1.2 have it: what is a number or a word is one unless it is in quotes.
/// Pure.
nlohmann::json to_json_value(const YamlNode& node);

}  // namespace ds::scheduler
