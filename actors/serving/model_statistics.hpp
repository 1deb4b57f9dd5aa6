#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ds::serving {

/// How often something happened and what it took in all. Both only grow: clients subtract two samples.
struct CountAndTime {
  std::uint64_t count = 0;
  std::uint64_t ns = 0;
  bool operator==(const CountAndTime&) const = default;
};

struct InferenceTimes {
  CountAndTime success;  ///< requests, from arrival to answer
  CountAndTime failure;
  CountAndTime queue;
  CountAndTime compute_input;   ///< making a batch
  CountAndTime compute_infer;   ///< running the model
  CountAndTime compute_output;  ///< taking the batch apart
  bool operator==(const InferenceTimes&) const = default;
};

struct BatchTimes {
  std::uint64_t batch_size = 0;
  CountAndTime compute_input;
  CountAndTime compute_infer;
  CountAndTime compute_output;
  bool operator==(const BatchTimes&) const = default;
};

/// Of one version of a model, since it was first served.
struct ModelStatistics {
  std::string name;
  std::uint64_t version = 1;
  std::uint64_t last_inference_ms = 0;  ///< since 1970; 0: none yet
  std::uint64_t inference_count = 0;    ///< rows: a request of eight counts eight
  std::uint64_t execution_count = 0;    ///< batches
  InferenceTimes times;
  std::vector<BatchTimes> batches;  ///< by size
  bool operator==(const ModelStatistics&) const = default;
};

}  // namespace ds::serving
