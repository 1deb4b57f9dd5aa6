#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "actors/fabric/buffer.hpp"
#include "actors/train/model_shape.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// Rows for the model, in memory of the caller.
struct TokenBatch {
  std::span<const std::int64_t> words;   ///< row by row, `ModelShape::length` each
  std::span<const std::int64_t> labels;  ///< one a row; -1: not a label of the training set
};

/// The model, with all its parameters in one flat vector and all their gradients in another. Hides torch.
///
/// Not thread-safe: one thread at a time, any thread. No exception leaves it. The same calls give the same
/// bits on one kind of processor for one number of threads: nothing is optimised after the first calls, and
/// torch's random numbers are not used.
class TextClassifier {
 public:
  /// Parameters and gradients are zero. `threads`: for tensor operations; the last value wins in a process.
  static Result<std::unique_ptr<TextClassifier>> create(const ModelShape& shape, std::uint32_t threads);
  ~TextClassifier();

  std::span<float> parameters();
  std::span<float> gradients();

  struct Contribution {
    double loss = 0;  ///< sum over the rows, divided by the divisor
    double forward_seconds = 0;
    double backward_seconds = 0;
  };

  /// Adds the gradient of (sum of the rows' losses) / `divisor` to `gradients()`. `dropout_mask`: a factor a
  /// feature, `ModelShape::width` a row, or empty. The labels are known ones.
  Result<Contribution> accumulate(const TokenBatch& batch, std::span<const float> dropout_mask,
                                  double divisor);

  struct Verdict {
    double loss = 0;  ///< sum over the rows whose label is known
    std::uint64_t correct = 0;
  };

  /// Judges rows without dropout.
  Result<Verdict> evaluate(const TokenBatch& batch);

  /// A TorchScript archive that PyTorch loads without our code, with further files inside. Its `forward`
  /// takes word numbers [rows, length] as int64 and returns scores [rows, classes]; in train mode it drops
  /// out by torch's own random numbers.
  Result<Buffer> to_torchscript(const std::map<std::string, std::string>& extra_files);

  /// A dictionary from name to tensor, as `torch.load` reads it.
  Result<Buffer> to_state_dict();

 private:
  struct Torch;
  explicit TextClassifier(std::unique_ptr<Torch> torch);
  std::unique_ptr<Torch> torch_;
};

}  // namespace ds::train
