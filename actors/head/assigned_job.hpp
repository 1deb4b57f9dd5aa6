#pragma once

#include <string>

#include "actors/messages/worker.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "storage/result.hpp"

namespace ds::head {

/// The job that the head gave this process; the head has read the same text without a fault.
Result<scheduler::JobSpec> read_assigned_job(const messages::AssignJob& job);

/// Writes why a process can't do its part to its log; returns what the head is to be told.
std::string log_end(const Error& why);

}  // namespace ds::head
