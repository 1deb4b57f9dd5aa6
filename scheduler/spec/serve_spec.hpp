#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/spec/train_spec.hpp"

namespace ds::scheduler {

/// Where the model of a `serve` job comes from.
struct ServedSource {
  enum class Kind { file, checkpoint, registry };
  Kind kind = Kind::file;
  std::string path;                   ///< of a TorchScript file; absolute
  std::string job;                    ///< whose checkpoint: its name or id
  std::optional<std::uint64_t> step;  ///< which one; none: the best (`is_best`) or the newest
  bool is_best = true;
  std::string model;      ///< of the registry: its name
  std::string reference;  ///< a tag, a version's number or `newest`; empty: `prod`, else the newest
  std::string text;       ///< as it was written
  bool operator==(const ServedSource&) const = default;
};

/// A tensor that the model takes or gives, where its file doesn't say.
struct ServedTensor {
  std::string name;
  std::string datatype;             ///< of the inference protocol: `FP32`; empty for an output
  std::vector<std::int64_t> shape;  ///< the first is the batch; -1: any
  bool operator==(const ServedTensor&) const = default;
};

/// A part of the requests: goes to what this tag or version of the model is.
struct TrafficSpec {
  std::string reference;    ///< as `ServedSource::reference`
  std::uint32_t share = 0;  ///< in hundredths
  bool operator==(const TrafficSpec&) const = default;
};

/// `batching.padding`: requests of unlike lengths share a batch. That the model's answers stay the same is
/// the claim of who writes the file, and tried before a replica is ready.
struct PaddingSpec {
  /// Lengths that inputs are padded to, ascending; a list for each variable size of an input.
  std::vector<std::vector<std::uint64_t>> buckets;
  double value = 0;                           ///< what stands behind an input that `values` does not name
  std::map<std::string, double> values = {};  ///< by the input's name
  std::vector<std::string> cut = {};          ///< outputs that are cut back to the request's own length
  double tolerance = 1e-4;  ///< of the trial: differences over an output's largest number; bf16: 0.02
  bool operator==(const PaddingSpec&) const = default;
};

struct BatchingSpec {
  std::string mode = "adaptive";            ///< adaptive, fixed, off
  std::uint32_t max_size = 32;              ///< rows
  std::int64_t max_delay_ms = 2;            ///< `fixed`: a request waits no longer for others
  std::optional<PaddingSpec> padding = {};  ///< none: only requests of equal shapes share a batch
  bool operator==(const BatchingSpec&) const = default;
};

/// What waits in one replica.
struct RequestQueueSpec {
  std::uint32_t max_depth = 1000;  ///< requests
  std::uint64_t max_bytes = 256ULL << 20;
  std::int64_t timeout_ms = 60'000;  ///< of a request that names no time of its own
  bool operator==(const RequestQueueSpec&) const = default;
};

struct AutoscaleSpec {
  double target = 2;  ///< requests under way, those that wait included, a replica
  std::int64_t up_delay_ms = 0;
  std::int64_t down_delay_ms = 60'000;
  std::int64_t to_zero_after_ms = 300'000;  ///< without a request; with `replicas.min` 0 only
  bool operator==(const AutoscaleSpec&) const = default;
};

/// `quantize: int8`, or a mapping: linear and LSTM layers compute with whole numbers of 8 bits.
struct QuantizeSpec {
  std::optional<SourceSpec> eval;  ///< what it is compared on; none: what the checkpoint was validated on
  double max_loss = 0.01;          ///< of accuracy, against fp32: a share of all rows
  double max_error = 0.05;         ///< where there are no labels: of the outputs, relative
  bool operator==(const QuantizeSpec&) const = default;
};

/// What a `serve` job serves, and how; how many replicas it has stands in `JobSpec::workers`, and what it
/// computes with in `JobSpec::precision`.
struct ServeSpec {
  ServedSource source;
  std::vector<TrafficSpec> traffic;  ///< of a model of the registry; empty: all to `source.reference`
  std::vector<ServedTensor> inputs, outputs;
  BatchingSpec batching;
  std::optional<QuantizeSpec> quantize;  ///< none: as it is
  std::int64_t p99_ms = 0;  ///< `slo.p99`: what requests should take at most, nearly all; 0: not given
  RequestQueueSpec queue;
  AutoscaleSpec autoscale;
  std::int64_t drain_ms = 30'000;  ///< for what a replica has begun, when it has to go
  bool operator==(const ServeSpec&) const = default;
};

}  // namespace ds::scheduler
