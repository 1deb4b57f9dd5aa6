#pragma once

#include <cstdint>
#include <optional>

#include "actors/train/encoded_rows.hpp"
#include "actors/train/state_description.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// A job's data sets as numbers, and the description of what is trained on them.
struct SessionData {
  EncodedRows training;
  std::optional<EncodedRows> validation;
  double majority_accuracy =
      0;  ///< on the validation set, of always answering the most frequent training label
  StateDescription description;
};

/// Reads and encodes the files. Errors as `TrainingSession::create`.
Result<SessionData> load_session_data(const scheduler::JobSpec& spec);

}  // namespace ds::train
