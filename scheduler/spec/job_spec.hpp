#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace ds::scheduler {

enum class JobKind { train };

/// How many workers a job runs with: all of `min` or none, never more than `max`.
struct WorkerCount {
  std::uint32_t min = 1;
  std::uint32_t max = 1;
  bool operator==(const WorkerCount&) const = default;
};

/// What one worker needs.
struct Resources {
  std::uint32_t cpus = 1;  ///< slots on a node without GPUs, and threads for tensor operations
  std::uint64_t memory_bytes = 2ULL << 30;
  bool operator==(const Resources&) const = default;
};

/// A CSV file with one text and one label column.
struct CsvSource {
  std::string path;  ///< absolute
  std::string text_column;
  std::string label_column;
  bool operator==(const CsvSource&) const = default;
};

struct DataSpec {
  CsvSource train;
  std::optional<CsvSource> validate;  ///< none: no evaluation
  std::uint32_t vocabulary = 8000;    ///< `tokenize`: most frequent words kept, the reserved ones included
  std::uint32_t length = 32;          ///< `pad_sequences`: tokens a row, longer rows are cut
  bool shuffle = true;
  bool operator==(const DataSpec&) const = default;
};

struct ModelSpec {
  std::string zoo = "text_classifier";
  std::uint32_t width = 128;  ///< size of the embedding and of the hidden layer
  double dropout = 0.1;       ///< in [0, 1)
  bool operator==(const ModelSpec&) const = default;
};

struct BatchSpec {
  std::uint32_t global = 128;    ///< samples a step over all logical ranks
  std::uint32_t accumulate = 1;  ///< micro-batches that one logical rank's share is run in
  bool operator==(const BatchSpec&) const = default;
};

struct OptimizerSpec {
  std::string name = "adamw";
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool operator==(const OptimizerSpec&) const = default;
};

/// When training ends: exactly one of the two is set.
struct Until {
  std::optional<std::uint32_t> epochs;
  std::optional<std::uint64_t> steps;
  bool operator==(const Until&) const = default;
};

struct CheckpointSpec {
  std::uint64_t every_steps = 200;
  std::uint32_t keep_last = 3;
  std::uint32_t keep_best = 1;  ///< by validation accuracy
  bool operator==(const CheckpointSpec&) const = default;
};

/// A job as its file describes it, defaults filled in. A plain value; see `parse_job_file`.
struct JobSpec {
  JobKind kind = JobKind::train;
  std::string name;  ///< `[a-z0-9][a-z0-9._-]{0,62}`
  std::string description;
  std::map<std::string, std::string> labels;
  std::string tenant = "default";
  Resources resources;
  WorkerCount workers;
  ModelSpec model;
  DataSpec data;
  BatchSpec batch;
  OptimizerSpec optimizer;
  std::string loss = "cross_entropy";
  std::string strategy = "allreduce";
  std::string precision = "fp32";
  Until until;
  CheckpointSpec checkpoint;
  std::uint32_t restart_limit = 3;  ///< crashes in a row without a committed step before the job fails
  std::uint64_t seed = 0;

  /// The fixed number of shares that the global batch is cut into, whoever computes them.
  std::uint32_t logical_ranks() const { return workers.max; }
  bool operator==(const JobSpec&) const = default;
};

}  // namespace ds::scheduler
