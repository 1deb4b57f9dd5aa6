#pragma once

#include <nlohmann/json.hpp>

#include "scheduler/spec/job_spec.hpp"

namespace ds::head {

/// A job file with everything in it that was left to defaults, and absolute paths: `parse_job_file` makes the
/// same job of it. Pure.
nlohmann::json spec_view(const scheduler::JobSpec& spec);

}  // namespace ds::head
