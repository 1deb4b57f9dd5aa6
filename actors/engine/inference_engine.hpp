#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "actors/serving/batching.hpp"
#include "actors/serving/model_metadata.hpp"
#include "actors/serving/padding.hpp"
#include "actors/serving/tensor.hpp"
#include "storage/result.hpp"

namespace ds {

/// A model can't be loaded.
class InferenceError : public std::runtime_error {
 public:
  explicit InferenceError(Error error)
      : std::runtime_error(error.hint.empty() ? error.message : error.message + " (" + error.hint + ")"),
        error_(std::move(error)) {}
  const Error& error() const { return error_; }

 private:
  Error error_;
};

/// A model in this process that answers requests of any number of threads, in batches, as a replica does.
///
///     ds::InferenceEngine engine("model.pt", "cpu", 32);
///     const auto outputs = engine.predict({ds::make_tensor("x", {1, 784}, pixels)});
///     if (outputs) use(ds::floats_of(outputs->front()));
///
/// Requests that wait are run together as soon as the model is free (`serving::BatchQueue`). What one of them
/// has wrong fails it alone. One thread of the engine runs the model; torch is out of sight.
class InferenceEngine {
 public:
  using Tensors = std::vector<serving::Tensor>;

  struct Options {
    std::string model_path;      ///< TorchScript, or what `ds-submit export --format torchscript` writes
    std::string device = "cpu";  ///< or `cuda`, `cuda:N` of the GPUs that CUDA shows this process
    std::uint32_t max_batch_size = 32;             ///< rows of a batch, and so of a request
    std::vector<serving::TensorSpec> inputs = {};  ///< what it takes, where the file doesn't say
    std::uint32_t threads = 1;                     ///< for tensor operations
    bool int8 = false;  ///< linear and LSTM layers with weights of 8 bits; compare the answers yourself
    bool bf16 = false;  ///< floating-point numbers inside the model are BF16; not with `int8`
    serving::BatchingOptions::Mode batching = serving::BatchingOptions::Mode::adaptive;
    /// Requests of unlike lengths share a batch: `batching.padding` of a serve job. None: they don't. Tried
    /// while the engine opens; with `bf16`, `tolerance` has to leave room for rounding, say 0.02.
    std::optional<serving::PaddingWish> padding = {};
    std::uint32_t max_depth = 1000;             ///< requests that wait; more are refused
    std::uint64_t max_bytes = 256U << 20U;      ///< of requests that wait
    std::chrono::milliseconds timeout{60'000};  ///< what can't be answered in time is refused
  };

  /// Loads the model, or throws `InferenceError`. `inputs` as in `Options`: of a file that `torch.jit` saved,
  /// such as `{{"x", ds::serving::Datatype::fp32, {-1, 784}}}`; one that ds has exported says them itself.
  InferenceEngine(const std::string& model_path, const std::string& device, std::uint32_t max_batch_size,
                  std::vector<serving::TensorSpec> inputs = {});
  /// Errors as `infer::ServedModel::load`'s and `replica::use_padding`'s, `not_found` for the file,
  /// `unsupported` for the device.
  static Result<InferenceEngine> open(Options options);
  /// Answers what is under way and what waits, then ends its thread.
  ~InferenceEngine();
  InferenceEngine(InferenceEngine&&) noexcept;
  InferenceEngine& operator=(InferenceEngine&&) = delete;

  const serving::ModelMetadata& metadata() const;

  /// The outputs for these inputs, in the model's order; the first dimension of each is the batch. Any
  /// thread; blocks until they are there. Errors: `invalid_argument` for inputs that the model does not take,
  /// `resource_exhausted` when too much waits, `deadline_exceeded`. After an error from which a GPU's context
  /// does not recover, such as an index out of range, every call fails with `unavailable`, and so does every
  /// new engine on that GPU, until the process starts again.
  Result<Tensors> predict(Tensors inputs);
  /// The same without waiting. The future may be dropped.
  std::future<Result<Tensors>> predict_async(Tensors inputs);

  /// Batches that were run, and how many rows they had.
  serving::BatchCounters counters() const;

 private:
  class Core;
  explicit InferenceEngine(std::unique_ptr<Core> core);

  std::unique_ptr<Core> core_;
};

/// A tensor of a copy of these values, of which there must be as many as the shape has elements.
serving::Tensor make_tensor(std::string name, std::vector<std::int64_t> shape, std::span<const float> values);
serving::Tensor make_tensor(std::string name, std::vector<std::int64_t> shape,
                            std::span<const std::int64_t> values);
/// Of texts, one a row.
serving::Tensor make_tensor(std::string name, std::span<const std::string> texts);

/// The elements of an FP32 tensor, of an INT64 tensor, of a BYTES tensor; of any other none.
std::vector<float> floats_of(const serving::Tensor& tensor);
std::vector<std::int64_t> integers_of(const serving::Tensor& tensor);
std::vector<std::string> texts_of(const serving::Tensor& tensor);

}  // namespace ds
