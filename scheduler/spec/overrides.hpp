#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {

/// Most fields that one submission sets beside its file.
inline constexpr std::size_t kMaxOverrides = 64;

struct OverriddenJob {
  ParsedJob job;  ///< marks of what `overrides` say have their number in `set`, and no line
  std::string
      text;  ///< a job file that says all of it: what is kept of the job. Without overrides the file's
};

/// Parses a job file of which some fields are said anew: `overrides` are `PATH=VALUE`, later ones count.
///
/// PATH is dotted as in errors, `optimizer.lr`, with items of lists as `data.transforms[0]`; what it leads
/// through is made where the file has no such mapping. VALUE is YAML and replaces what the file says there;
/// `null` takes the field out of it, so that its default counts; it may have none, but must be one of job
/// files. Errors are those of `parse_job_file`: of what the file says with their line, of what an override
/// says or takes out with its number. Pure.
std::variant<OverriddenJob, std::vector<SpecError>> parse_job_file(std::string_view text,
                                                                   std::string_view directory,
                                                                   std::span<const std::string> overrides);

}  // namespace ds::scheduler
