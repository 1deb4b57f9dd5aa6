#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "actors/serving/statistics.hpp"

namespace ds::serving {

/// What `/metrics` says of one version of a model.
struct ModelMetrics {
  std::string name;  ///< an identifier: nothing of it needs to be escaped
  std::uint64_t version = 1;
  std::uint32_t ready = 0, starting = 0, draining = 0;  ///< replicas
  std::uint64_t ongoing = 0;  ///< requests of the model without an answer; only the first version's counts
  EndpointStatistics statistics;
};

/// Versions of one model stand together. Prometheus' text format, version 0.0.4: `ds_replicas`,
/// `ds_infer_ongoing`, `ds_infer_requests_total`, `ds_infer_failures_total`, `ds_infer_seconds`,
/// `ds_infer_stage_seconds`, `ds_infer_batch_size`, `ds_infer_batch_released_total`; of models whose inputs
/// are padded `ds_infer_input_elements_total`. Pure.
std::string metrics_text(std::span<const ModelMetrics> models);

}  // namespace ds::serving
