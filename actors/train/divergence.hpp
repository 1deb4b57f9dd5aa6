#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "actors/train/model.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::train {

/// What was not finite in a step.
struct NotFinite {
  std::optional<std::size_t> gradient;  ///< the first such element
  bool loss = false;
};

/// Why training ends at step number `step`, from 1, after `skipped` steps that were passed over: for people.
/// Pure.
Error divergence(const scheduler::JobSpec& spec, const std::vector<TensorSlot>& slots, const NotFinite& what,
                 std::uint64_t step, double skipped);

}  // namespace ds::train
