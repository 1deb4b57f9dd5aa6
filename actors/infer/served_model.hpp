#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "actors/serving/model_metadata.hpp"
#include "actors/serving/padding.hpp"
#include "storage/result.hpp"

namespace ds::infer {

/// Where a model comes from.
struct ModelSource {
  std::string archive;  ///< TorchScript, from anybody; with what an export of ours puts beside the module
  std::string origin;   ///< for errors: a path, `ckpt:JOB@STEP`
  std::vector<serving::TensorSpec> inputs;   ///< empty: the archive says them
  std::vector<serving::TensorSpec> outputs;  ///< their names; empty: `output__0`, or the archive's
};

struct ModelOptions {
  std::string name;
  std::uint64_t version = 1;
  std::uint32_t threads = 1;         ///< for tensor operations
  std::uint32_t max_batch_size = 1;  ///< rows
  bool int8 = false;                 ///< linear and LSTM layers compute with whole numbers of 8 bits
  bool bf16 = false;                 ///< all floating-point numbers inside are BF16; not with `int8`
  std::string device = "cpu";  ///< or `cuda`, `cuda:N` of the GPUs that this process sees; not with `int8`
};

/// What was made of a model whose layers compute with whole numbers of 8 bits.
struct Int8Sizes {
  std::uint32_t linear_layers = 0, lstm_layers = 0;
  std::uint64_t bytes_before = 0, bytes_after = 0;  ///< of all its tensors
};

/// A model that answers requests, with torch out of sight.
///
/// A model that was trained here on texts takes texts (`BYTES`), which it cuts into tokens as training did,
/// and one whose label is a class gives each row's label too, as the output `label`.
class ServedModel {
 public:
  using Tensors = std::vector<serving::Tensor>;

  /// Reads the archive, refuses what a stranger's program could do with it (`train::read_script_archive`),
  /// and runs it once on zeros, which tells the outputs. Errors: `invalid_argument`, naming the origin; with
  /// `int8` also for a model that has nothing to quantize. With `bf16` it takes and gives what it does
  /// without: its tensors are converted on the way; a model that fails in BF16, or computes something else,
  /// is refused. Errors of the device: `unsupported` where libtorch has no CUDA, `unavailable` where there is
  /// no such GPU, or it can't be used or not any more, whatever failed: the model may do well on another;
  /// `resource_exhausted` where it has no room.
  static Result<std::unique_ptr<ServedModel>> load(ModelSource source, const ModelOptions& options);
  virtual ~ServedModel() = default;

  /// Constant after loading; any thread.
  virtual const serving::ModelMetadata& metadata() const = 0;
  /// Zeros without `ModelOptions::int8`. Constant after loading; any thread.
  virtual const Int8Sizes& int8_sizes() const = 0;
  /// Answers requests in one pass, each with all outputs. The inputs of each stand in the order of the
  /// metadata and fit it (`serving::check_inputs`), all with the same shape but for the rows. What a request
  /// has wrong in its values (an index out of range) fails the whole batch: `invalid_argument`. One thread at
  /// a time, and always the same one is the fastest.
  virtual Result<std::vector<Tensors>> run(std::span<const Tensors* const> requests) = 0;

  /// Whether what fails may lose the device: trials of a model begin with small numbers then.
  virtual bool is_on_gpu() const = 0;
  /// Whether it has met an error after which this process can't use its GPU any more: all requests fail until
  /// another process loads the model. Of the thread that runs it.
  virtual bool has_lost_device() const = 0;

  /// What the comparison with fp32 said before it was accepted (`QuantizationReport` as JSON); empty: none
  /// was made. Set before others see the model.
  const std::string& quantization() const { return quantization_; }
  void set_quantization(std::string report) { quantization_ = std::move(report); }

  /// How requests of unlike lengths may share a batch; none: they may not. Who runs batches pads and cuts by
  /// it. Set before others see the model.
  const std::optional<serving::Padding>& padding() const { return padding_; }
  void set_padding(serving::Padding padding) { padding_ = std::move(padding); }

  /// Whether it cuts texts into tokens.
  virtual bool takes_texts() const = 0;
  /// From now on a batch of texts is as long as the first of `buckets` that holds its longest, and never
  /// longer than in training; tried on random tokens first. Errors: `invalid_argument` when answers differ by
  /// more than `tolerance` (`serving::answer_difference`), no bucket is shorter than texts in training, or
  /// trying takes longer than `longest` (a run that has begun is waited for); `unavailable` when the device
  /// was lost. After an error it is as before.
  virtual Result<void> use_text_buckets(std::span<const std::int64_t> buckets, double tolerance,
                                        std::chrono::milliseconds longest) = 0;
  /// Tokens of the last `run`, with text buckets.
  virtual serving::PaddedElements text_elements() const = 0;

 private:
  std::string quantization_;
  std::optional<serving::Padding> padding_;
};

}  // namespace ds::infer
