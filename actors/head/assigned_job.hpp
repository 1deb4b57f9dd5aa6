#pragma once

#include <cstdint>

#include "actors/messages/worker.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "storage/result.hpp"

namespace ds::head {

/// The job that the head gave this process; the head has read the same text without a fault.
Result<scheduler::JobSpec> read_assigned_job(const messages::AssignJob& job);

/// What a process tells the head, and its own log, when it can't do its part.
messages::JobImpossible to_impossible(std::uint64_t worker, const Error& why);

}  // namespace ds::head
