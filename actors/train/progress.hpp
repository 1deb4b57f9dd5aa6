#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "actors/train/gradient_noise.hpp"
#include "scheduler/spec/train_spec.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// What a step depends on besides the tensors, and what was measured over many steps: a part of the state,
/// the same on every worker. Pure.
struct Progress {
  double skipped = 0;          ///< steps that changed nothing because something was not finite
  double judged_step = 0;      ///< the last evaluation that counted
  double evaluations = 0;      ///< that counted
  double best = 0;             ///< of early stopping's metric
  double best_evaluation = 0;  ///< its number
  double ended = 0;            ///< 1: an evaluation ended training
  double scale = 0;            ///< the loss scaler's; 0: none
  double clean_steps = 0;      ///< since the scale changed
  double bad_records = 0;      ///< left out, all in all
  double bad_in_epoch = 0;     ///< of them in the epoch of the last step: each record comes once in it
  double overflows = 0;        ///< of the skipped steps: those that halved the scale
  NoiseSoFar noise;            ///< of the gradient; of what is trained, only `batches` depends on it
  double batches = 0;          ///< that steps take now, see `batch_growth.hpp`; 0: one
  double further_batches = 0;  ///< that steps took beyond one each, all in all
  // What is new comes at the end: states that were written before lack it.

  static constexpr std::size_t kCount = 16;
  std::array<double, kCount> values() const;
  static Progress of(std::span<const double> values);
  /// Of a state: what an older one has not yet is 0. `data_loss` when it has no values, parts of one, or
  /// more.
  static Result<Progress> of_bytes(std::span<const std::byte> bytes);
  bool operator==(const Progress&) const = default;
};

/// Counts `found` bad records of the step, or steps, after `step`. Fails with `invalid_argument` and counts
/// nothing when an epoch has more than `most`.
Result<void> count_bad_records(Progress& progress, double found, std::uint64_t step,
                               std::uint64_t steps_per_epoch, std::uint64_t most);

/// Takes an evaluation's metric into account, once a step. `target`: training ends when it is reached.
void judge(Progress& progress, std::uint64_t step, double metric, const scheduler::EarlyStop& rule);

/// Whether `metric` reaches `target`.
bool reaches(const scheduler::Goal& goal, double metric, double target);

}  // namespace ds::train
