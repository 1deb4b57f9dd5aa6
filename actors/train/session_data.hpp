#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "actors/train/encoded_rows.hpp"
#include "actors/train/state_description.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// The settings of a job that trains `text_classifier` on CSV files.
struct TextJob {
  std::string train, validate;  ///< paths; no validation set: empty
  std::string text_column, label_column;
  std::string validate_text_column, validate_label_column;
  std::uint32_t vocabulary = 8000, length = 32;
  std::uint32_t width = 128;
  double dropout = 0.1;
};

/// Takes the settings out of a job. Errors name the field that no `text_classifier` on CSV files has.
Result<TextJob> to_text_job(const scheduler::JobSpec& spec);

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
