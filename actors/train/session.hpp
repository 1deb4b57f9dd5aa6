#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/fabric/buffer.hpp"
#include "actors/parameters/link.hpp"
#include "actors/train/model.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "storage/result.hpp"

namespace ds::train {

class BatchMaker;
class BatchSource;
class PieceWatch;

/// Everything that training needs to go on from `step`, and all that an export needs. The same bits on every
/// worker.
struct StateImage {
  std::uint64_t step = 0;   ///< committed steps
  std::string description;  ///< JSON: model and its sizes, names, shapes and offsets of the tensors,
                            ///< vocabulary, labels, data fingerprint (`StateDescription`)
  /// Flat vectors by name: `parameters`, `buffers`, the optimizer's (float32), `counters` (int64), `progress`
  /// (float64: what else a step depends on), and for a TorchScript job `module`, the file's bytes.
  std::vector<std::pair<std::string, Buffer>> tensors;
};

/// What one logical rank's share of a step was computed from.
struct TakenShare {
  std::uint64_t step = 0;   ///< this step's number, from 1
  std::uint64_t epoch = 0;  ///< from 0
  std::uint32_t logical_rank = 0;
  std::vector<std::uint64_t> samples;  ///< as they were taken, bad records too; may be empty
  std::uint64_t epoch_samples = 0, epoch_steps = 0;
  std::uint32_t logical_ranks = 0;
};

struct StepResult {
  std::uint64_t step = 0;   ///< committed steps, with those that this one made
  std::uint64_t epoch = 0;  ///< the epoch this step belonged to, from 0
  double loss = 0;          ///< mean over the global batch
  double learning_rate = 0;
  std::uint64_t samples = 0;
  std::uint32_t batches = 1;        ///< of `batch.global`, that it took
  std::uint64_t batch = 0;          ///< samples that full steps take from now on
  std::uint64_t bad_records = 0;    ///< left out since the job began
  std::string bad_record;           ///< one that this worker left out of this step, and why; empty: none
  std::uint64_t skipped_steps = 0;  ///< that changed nothing, since the job began
  bool updated = true;              ///< false: the gradient was not finite and the step changed nothing
  double loss_scale = 1;            ///< fp16: what the loss was multiplied by
  double noise_scale = 0;           ///< of the gradient, in samples; 0: not known (gradient_noise.hpp)
  double data_seconds = 0, forward_seconds = 0, backward_seconds = 0, reduce_seconds = 0,
         optimizer_seconds = 0;
};

struct EvaluationResult {
  std::uint64_t step = 0;
  double loss = 0;
  std::map<std::string, double> metrics;  ///< those of `validate.metrics`; shares are in [0, 1]
  double majority_accuracy =
      0;  ///< of always answering the most frequent label of the training set; 0: no classes
  std::uint64_t samples = 0;
  double noise_scale = 0;  ///< as in `StepResult`, after `step`
};

/// One worker's side of data-parallel training. Not thread-safe: one thread at a time, any thread.
///
/// The outcome is a function of the job and its data alone: the number of workers, and when it changes, leave
/// no trace.
class TrainingSession {
 public:
  /// Opens the data, learns the vocabulary, and builds the model, its parameters initialised from the seed
  /// (step 0). Errors name file:line:column or the job file's field, and are `invalid_argument` when another
  /// try cannot help.
  static Result<std::unique_ptr<TrainingSession>> create(const scheduler::JobSpec& spec);
  virtual ~TrainingSession() = default;

  virtual std::uint64_t step() const = 0;
  virtual std::uint64_t total_steps() const = 0;
  virtual std::uint64_t steps_per_epoch() const = 0;
  virtual bool has_validation() const = 0;
  /// All steps are done, or an evaluation ended training early.
  virtual bool finished() const = 0;
  /// An evaluation is due after the step just committed.
  virtual bool evaluation_due() const = 0;

  /// Where the model's parameters lie in the flat vector; what servers must know of them.
  virtual const std::vector<TensorSlot>& parameter_slots() const = 0;

  /// Where batches come from instead of this process alone. Before the first step; what `make` returns may
  /// use the maker it is given as long as it lives.
  using MakeSource = std::function<std::unique_ptr<BatchSource>(const BatchMaker&)>;
  virtual void set_batch_source(const MakeSource& make) = 0;

  /// The state as it is now. `copy`: memory of its own, else it borrows the session's and is valid until the
  /// next step. With parameter servers it lacks the optimizer's vectors, which only they have.
  virtual StateImage image(bool copy) const = 0;

  /// Gives `use`, which may wait for nobody, a copy of the state as it is now, on another thread: it is made
  /// while the next step computes, which waits for it before it changes anything. A copy that found no memory
  /// fails that step with `resource_exhausted`.
  virtual void copy_state(std::function<void(StateImage)> use) = 0;

  /// The whole state as it is now, with a copy of what only parameter servers have: equal to that of an
  /// `allreduce` job to the last bit when they are `sync`. Else it can be had at boundaries only
  /// (`evaluation_due`, `checkpoint.every_steps`, the end of an epoch or of the job), by rank 0;
  /// `unavailable` when the other members have gone on already, as after a generation that ended there.
  virtual Result<StateImage> checkpoint_image(bool copy) = 0;

  /// For jobs with parameter servers, at the begin of every generation: all members have called it before any
  /// runs a step or evaluates. `seed`: servers have no state yet and get this session's (from `restore`, or
  /// of step 0); one member does that, the others wait for it. Then the state is that of the servers.
  virtual Result<void> use_servers(std::shared_ptr<parameters::Link> link, bool seed) = 0;

  /// Takes over a state; `conflict` when it belongs to other data or another model (says which and what to
  /// do).
  virtual Result<void> restore(const StateImage& state) = 0;

  /// From here on `watch` is told of each hosted rank's share when it was computed, and before the step's sum
  /// can be complete anywhere; its error fails the step. Called by `run_step`'s thread.
  virtual void watch_shares(std::function<Result<void>(const TakenShare&)> watch) = 0;

  /// From here on `watch`, which outlives the session or is null, sees the pieces that `run_step` and
  /// `evaluate` compute, on their thread. What it gives up fails with its error.
  virtual void watch_pieces(PieceWatch* watch) = 0;

  /// Runs one step for the hosted logical ranks and commits it. Where the batch may grow (`batch.max_global`)
  /// it is an optimizer step that takes several batches and counts as so many steps: see `batch_growth.hpp`;
  /// it does not go beyond an evaluation or the end of an epoch. On failure (a member died, the generation
  /// ended) the state is that of before the step, whole. A loss or gradient that is not finite fails with
  /// `invalid_argument` and names the step and the first bad tensor, or is skipped as `on_nan` allows.
  ///
  /// With servers that are not `sync`, `step()` is this member's own between boundaries, and the loss that of
  /// its own shares; a member that comes back may be at a step with members that are further already.
  virtual Result<StepResult> run_step(collective::Communicator& communicator) = 0;

  /// Evaluates on the validation set, shared between the members. Changes nothing but whether training has
  /// ended early.
  virtual Result<EvaluationResult> evaluate(collective::Communicator& communicator) = 0;
};

enum class ExportFormat { torchscript, state_dict, safetensors };

/// Turns a state into a file's bytes. `torchscript` loads in PyTorch without our code and carries vocabulary
/// and labels as extra files; equal states give equal bytes in `safetensors`.
Result<Buffer> export_model(const StateImage& state, ExportFormat format);

}  // namespace ds::train
