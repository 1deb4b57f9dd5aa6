#pragma once

#include <filesystem>
#include <vector>

#include "scheduler/simulator/input.hpp"
#include "scheduler/simulator/rigid_job.hpp"

namespace ds::simulator {

/// The jobs of a list of Philly's (ATC 2019) in the order of submission, their times from the first one on:
/// `timestamp` (`YYYY-MM-DD hh:mm:ss`), `duration` in seconds, `num_gpus`. Nobody is told how long they
/// take. They are named by their line. Refusals name `file:line:column`.
Read<std::vector<RigidSubmission>> read_philly_workload(const std::filesystem::path& file);

}  // namespace ds::simulator
