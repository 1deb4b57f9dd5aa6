#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/train/model_shape.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// What decides the meaning of a row: two states with equal ones were trained on the same numbers.
struct DataFingerprint {
  std::string sha256;  ///< of the training file
  std::string text_column;
  std::string label_column;
  std::uint32_t vocabulary_limit = 0;
  std::uint32_t length = 0;
  bool operator==(const DataFingerprint&) const = default;
};

/// `StateImage::description` as a value: all that is needed to use the tensors without the job's files.
struct StateDescription {
  ModelShape model;
  std::vector<std::string> vocabulary;  ///< by word number
  std::vector<std::string> labels;      ///< by class number
  DataFingerprint data;
  bool operator==(const StateDescription&) const = default;
};

/// One line of JSON; equal values give equal bytes.
std::string to_json(const StateDescription& description);

/// `data_loss` when the text is not a description, is of a newer format, or contradicts itself.
Result<StateDescription> to_state_description(const std::string& json);

/// `conflict`, with each difference in words, unless `state` belongs to the model and the data of `job`.
/// Pure.
Result<void> check_same_training(const StateDescription& job, const StateDescription& state);

}  // namespace ds::train
