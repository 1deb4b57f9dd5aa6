#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/job/command_gang.hpp"
#include "scheduler/spec/command_spec.hpp"

namespace ds::head {

/// The variables (`NAME=value`) that tell a process of a `command` job its place, by the names that PyTorch's
/// launcher uses, after those of its job file. `master`: the address (`host:port`, also `[::1]:port`) of rank
/// 0's node, whose host becomes MASTER_ADDR, without brackets. MASTER_PORT is missing where the node has yet
/// to choose it. Pure.
std::vector<std::string> environment_of(const scheduler::CommandSpec& command, const job::StartProcess& order,
                                        const std::string& job, const std::string& master);

/// What follows from one more crash of a `command` job.
struct CommandCrash {
  std::uint32_t count = 1;     ///< of the job's crashes; more than its `restart`: it has failed
  std::uint32_t in_a_row = 1;  ///< what the wait before the next start doubles with
};

/// All crashes count, as for a Kubernetes job's `backoffLimit`: also those after long runs, or a program that
/// crashes every hour would be started for ever. After a run of ten minutes the next start waits as after the
/// first crash. `crashes`: before this one, since the job was submitted or tried again.
CommandCrash count_crash(std::uint32_t crashes, std::int64_t ran_ms);

}  // namespace ds::head
