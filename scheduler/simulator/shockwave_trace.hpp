#pragma once

#include <filesystem>
#include <vector>

#include "scheduler/simulator/input.hpp"
#include "scheduler/simulator/rigid_job.hpp"

namespace ds::simulator {

/// The jobs of a Shockwave workload in the order of submission, from its table of epochs: columns `job`,
/// `arrival_s`, `gpus`, `epochs` and `seconds_per_epoch`, a row for each run of epochs of one batch size,
/// those of a job one below the other. Refusals name `file:line:column`.
Read<std::vector<RigidSubmission>> read_shockwave_workload(const std::filesystem::path& file);

}  // namespace ds::simulator
