#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/spec/job_spec.hpp"

namespace ds::scheduler {

/// Where something stands in a job file; all count from 1, 0 means unknown.
struct Mark {
  std::size_t line = 0;
  std::size_t column = 0;
  std::size_t set = 0;  ///< it is not in the file, but in the override of this number (`overrides.hpp`)
  bool operator==(const Mark&) const = default;
};

/// One thing that is wrong with a job file.
struct SpecError {
  std::string field;  ///< dotted path, `optimizer.lr`; empty for a syntax error
  Mark mark;
  std::string message;  ///< `expected a number, got "fast"`
  std::string hint;     ///< nearest known key, allowed values; may be empty
  bool operator==(const SpecError&) const = default;
};

struct ParsedJob {
  JobSpec spec;
  std::map<std::string, Mark> marks;  ///< by dotted path: where the value of each field in the file stands;
                                      ///< of mappings and lists, their key
};

/// Parses the text of a job file (YAML, of which JSON is a part).
///
/// Relative paths are taken from `directory`. Unknown fields, duplicate keys, wrong types, values out of
/// range and fields of the format that this version does not support are errors; all of them are reported,
/// not only the first. Aliases, more than 32 levels and more than 64 KiB are refused. Pure: reads no file but
/// its arguments.
std::variant<ParsedJob, std::vector<SpecError>> parse_job_file(std::string_view text,
                                                               std::string_view directory);

/// `file:line:column: field: message` and the hint, as one line each; what a user sees.
std::string format_spec_error(const SpecError& error, std::string_view file);

}  // namespace ds::scheduler
