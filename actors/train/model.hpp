#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/data/dataset.hpp"
#include "scheduler/spec/train_spec.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// Where a parameter or a buffer lies in the flat vector that holds all of its kind.
struct TensorSlot {
  std::string name;  ///< as PyTorch's state_dict calls it: `encoder.0.weight`
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0;  ///< elements
  std::uint64_t size = 0;    ///< elements
  bool operator==(const TensorSlot&) const = default;
};

/// All that a model and its loss are made from.
struct ModelRequest {
  scheduler::ModelSpec model;
  std::vector<scheduler::LossTerm> loss;
  std::vector<data::FieldShape> fields;  ///< of a batch; `label` is what the loss compares with, the others
                                         ///< are the arguments of `forward`, in order
  std::uint32_t classes = 0;             ///< 0: the label is no class
  std::uint32_t vocabulary = 0;          ///< tokens that there are; 0: no text
  std::string precision = "fp32";  ///< fp32; bf16, fp16: products of the forward pass are rounded, parameters
                                   ///< stay float32
  std::uint32_t threads = 1;
  std::uint64_t seed = 0;  ///< of the initial parameters
};

/// A model and its loss, with torch out of sight. One thread at a time, any thread.
///
/// Parameters and buffers are each one flat vector, which the model's tensors are views of: who writes there
/// changes the model. Gradients add up in another. Parameters and floating-point buffers that are not float32
/// in a user's file are converted to it; frozen parameters count as buffers. Everything is a function of the
/// arguments: random layers draw from a generator that each call seeds.
class Model {
 public:
  /// Errors are `invalid_argument` and name the job file's field, the layer and both shapes when something
  /// does not fit: tried with one row of zeros before it returns. A TorchScript file must be one and may not
  /// read files; its parameters are where training starts.
  static Result<std::unique_ptr<Model>> create(const ModelRequest& request);
  virtual ~Model() = default;

  virtual const std::vector<TensorSlot>& parameter_slots() const = 0;
  virtual const std::vector<TensorSlot>& buffer_slots()
      const = 0;  ///< floating-point ones, and what is frozen
  virtual const std::vector<TensorSlot>& counter_slots() const = 0;  ///< whole-numbered buffers
  virtual std::span<float> parameters() = 0;
  virtual std::span<float> gradients() = 0;
  /// Costs nothing: the next ones are put where they would be added to zeros.
  virtual void zero_gradients() = 0;
  /// From now on they add up in `memory`, of as many elements, that stays until the next call; empty: in
  /// memory of the model's own. They are zero then.
  virtual void put_gradients(std::span<float> memory) = 0;
  virtual std::span<float> buffers() = 0;
  virtual std::span<std::int64_t> counters() = 0;
  /// Keeps the memory of parameters and gradients alive, however long the model lives. They can be lent to
  /// other processes of the host.
  virtual std::shared_ptr<const void> memory() const = 0;

  struct Contribution {
    double loss = 0;  ///< summed over the rows and divided by `divisor`, not scaled
    double forward_seconds = 0, backward_seconds = 0;
    double squared_norm = 0;  ///< of the gradient that was added, while that is measured
  };
  /// A range of the gradients, [first, last), that this call has finished and that lies in its memory; in
  /// falling order, without gaps, from the thread that called.
  using OnReady = std::function<void(std::uint64_t first, std::uint64_t last)>;
  /// Adds the gradient of `scale` * (sum of the rows' losses) / `divisor` to `gradients()`, and updates
  /// buffers and counters as the model does in training mode. `invalid_argument` for a label out of range
  /// (names the row, the label and the range).
  virtual Result<Contribution> accumulate(const data::Batch& batch, std::uint64_t random_seed, double divisor,
                                          double scale, const OnReady& on_ready) = 0;

  /// From now on `accumulate` measures what it adds, or not: parameter by parameter, while it is in the
  /// caches.
  virtual void measure_norms(bool on) = 0;

  /// What the model makes of a batch, in evaluation mode.
  struct Judgement {
    double loss = 0;                                ///< summed over the rows that have one
    std::uint64_t rows = 0;                         ///< with a known label
    std::uint64_t elements = 1;                     ///< predictions a row: 1, or as many as a mask has
    std::vector<std::int64_t> predicted, expected;  ///< classes, row by row; empty when the label is no class
    std::vector<float> scores;                      ///< rows x classes; only when asked for
  };
  virtual Result<Judgement> judge(const data::Batch& batch, bool with_scores) = 0;

  /// Archives that PyTorch loads without our code. A plugin's model that is no script has no `torchscript`
  /// (`unsupported`).
  virtual Result<Buffer> to_torchscript(const std::map<std::string, std::string>& extra_files) = 0;
  virtual Result<Buffer> to_state_dict() = 0;
};

}  // namespace ds::train
