#pragma once

#include <string_view>

#include "scheduler/spec/job_spec.hpp"
#include "scheduler/spec/section.hpp"

namespace ds::scheduler {

/// Reads the fields of a `train` job into `spec`, `version`, `kind` aside. Faults go to the section's
/// findings, and leave the field at its default.
void read_train_job(const Section& root, std::string_view directory, JobSpec& spec);

/// Reads the section `data` of a `train` job; paths are taken from `directory`.
void read_data(const Section& root, std::string_view directory, DataSpec& data);

}  // namespace ds::scheduler
