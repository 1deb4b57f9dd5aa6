#pragma once

#include "actors/serving/batching.hpp"
#include "scheduler/spec/serve_spec.hpp"

namespace ds::head {

/// How a job's replicas batch and what may wait in each. Pure.
serving::BatchingOptions batching_of(const scheduler::ServeSpec& serve);

}  // namespace ds::head
