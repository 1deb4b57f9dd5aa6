#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "actors/data/batch.hpp"
#include "scheduler/spec/train_spec.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// What was learnt from the training set in a first pass and travels with the model: enough to turn raw text
/// into numbers and numbers into labels, elsewhere and later.
struct Preprocessing {
  std::vector<std::string> vocabulary;                      ///< tokenize: by number
  std::vector<std::pair<std::string, std::string>> merges;  ///< byte_pair: in the order they are applied
  std::vector<std::string> labels;  ///< class names by number, sorted; empty: the label is no class
  std::uint32_t ngrams =
      1;  ///< tokenize: tokens of the vocabulary have up to so many words, see `Vocabulary`
  bool operator==(const Preprocessing&) const = default;
};

/// Which random numbers the random transforms of a batch draw: those of its place in training, whoever makes
/// it.
struct Draw {
  std::uint64_t seed = 0, step = 0;
  std::uint32_t logical_rank = 0;
  std::uint64_t first = 0;  ///< place of the batch's first sample in the logical rank's share of the step
};

class Transform;

struct DatasetOptions {
  std::filesystem::path
      index_directory;        ///< where offset indices are kept; empty: beside the data, else nowhere
  std::uint32_t threads = 1;  ///< for building an index or learning a vocabulary
  std::vector<std::shared_ptr<Transform>>
      further;  ///< of your own ("actors/data/transform.hpp"), applied behind the spec's; for one data set
};

/// A source and the transforms that make its records tensors. Immutable; any thread.
class Dataset {
 public:
  /// The training set: learns vocabulary and labels from it. Errors name file:line:column or the record, or
  /// the job file's field, and are `invalid_argument` when another try cannot help.
  static Result<std::unique_ptr<Dataset>> open_training(const scheduler::DataSpec& spec,
                                                        const DatasetOptions& options);
  /// The validation set, with what the training set taught; nothing random is done to it. A label that the
  /// training set does not have is -1.
  static Result<std::unique_ptr<Dataset>> open_validation(const scheduler::DataSpec& spec,
                                                          const Preprocessing& learnt,
                                                          const DatasetOptions& options);
  virtual ~Dataset() = default;

  virtual std::uint64_t size() const = 0;
  virtual const Preprocessing& preprocessing() const = 0;
  /// The fields of a batch, in order; `label` last when there is one.
  virtual const std::vector<FieldShape>& fields() const = 0;
  /// Equal for equal bytes in the files and equal settings, hexadecimal.
  virtual const std::string& fingerprint() const = 0;
  /// How many samples have each class; empty when the label is no class.
  virtual const std::vector<std::uint64_t>& class_counts() const = 0;
  /// Where a sample comes from: `train.csv:12`, `t10k-images.gz record 7`, `cats/3.jpg`.
  virtual std::string place_of(std::uint64_t sample) const = 0;

  /// Reads, transforms and batches; without `draw` nothing random is done. Memory of the batch comes from the
  /// block pool, so that it can be lent to another process.
  virtual Result<Batch> make_batch(std::span<const std::uint64_t> samples,
                                   const std::optional<Draw>& draw) const = 0;
};

}  // namespace ds::data
