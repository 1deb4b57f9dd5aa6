#pragma once

#include <string>
#include <vector>

#include "actors/data/dataset.hpp"
#include "actors/train/model.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// What decides the meaning of a sample: two states with equal ones were trained on the same numbers.
struct DataIdentity {
  std::string fingerprint;            ///< `Dataset::fingerprint` of the training set
  data::Preprocessing preprocessing;  ///< vocabulary and labels, by number
  bool operator==(const DataIdentity&) const = default;
};

/// `StateImage::description` as a value: all that is needed to use the tensors without the job's files.
struct StateDescription {
  ModelRequest request;       ///< `threads`, `seed` and the TorchScript file's path are no part of it
  std::string module_sha256;  ///< of the TorchScript file; empty: a model of the zoo
  std::vector<TensorSlot> parameters, buffers, counters;
  DataIdentity data;
  bool operator==(const StateDescription&) const;
};

/// One line of JSON; equal values give equal bytes.
std::string to_json(const StateDescription& description);

/// `data_loss` when the text is not a description or contradicts itself, `unsupported` when it is of another
/// format.
Result<StateDescription> to_state_description(const std::string& json);

/// `conflict`, with each difference in words, unless `state` belongs to the model and the data of `job`.
/// Pure.
Result<void> check_same_training(const StateDescription& job, const StateDescription& state);

}  // namespace ds::train
