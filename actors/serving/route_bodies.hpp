#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/serving/model_metadata.hpp"
#include "actors/serving/statistics.hpp"
#include "storage/result.hpp"

namespace ds::serving {

// The JSON bodies of the protocol's routes. Pure; bytes of texts that are not UTF-8 are replaced.

/// GET /v2. `extensions`: those that work.
std::string server_metadata_body(std::string_view version, std::span<const std::string_view> extensions);

/// GET /v2/health/live and /ready.
std::string live_body(bool live);
std::string ready_body(bool ready);

/// GET /v2/models/{m}
std::string model_metadata_body(const ModelMetadata& model);
/// GET /v2/models/{m}/ready
std::string model_ready_body(std::string_view name, bool ready);

/// What the configuration shows beyond the metadata.
struct ModelConfiguration {
  bool has_dynamic_batching = false;
  std::vector<std::uint32_t> preferred_batch_sizes;  ///< may be empty
  std::uint64_t max_queue_delay_us = 0;
  std::uint32_t replicas = 1;
  bool on_gpu = false;
};

/// GET /v2/models/{m}/config, in the form of Triton's, whose clients read it: `dims` without the batch
/// dimension, `data_type` as `TYPE_FP32`. Padding stands in its `parameters`: `padding_buckets` `16,32`,
/// `padding_values` `tokens=0`, `padding_cut` the outputs' names.
std::string model_config_body(const ModelMetadata& model, const ModelConfiguration& configuration);

/// Of one version of a model.
struct NamedStatistics {
  std::string name;
  std::uint64_t version = 1;
  ModelStatistics statistics;
};

/// GET /v2/models/stats and of one. Times that Triton has for a cache of answers are there and 0: there is
/// none, and some versions of perf_analyzer read them without asking.
std::string statistics_body(std::span<const NamedStatistics> models);

struct IndexEntry {
  std::string name;
  std::optional<std::uint64_t> version;  ///< none: none is served
  bool ready = false;                    ///< it takes requests
  std::string reason;                    ///< why it does not, or what the first one waits for; may be empty
};

/// The body of POST /v2/repository/index, which may be empty: whether only models that are ready are wanted.
/// Errors: `invalid_argument`.
Result<bool> wants_only_ready(std::string_view body);

/// POST /v2/repository/index
std::string repository_index_body(std::span<const IndexEntry> entries);

/// `{"error": …}` with the message and the hint.
std::string error_body(const Error& error);
std::string error_body(std::string_view message);

/// The status for an error of this library; 503 wants a `Retry-After` from the caller.
int http_status(ErrorCode code);

}  // namespace ds::serving
