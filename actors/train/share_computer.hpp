#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "actors/collective/rank_range.hpp"
#include "actors/train/batch_maker.hpp"
#include "actors/train/batch_source.hpp"
#include "actors/train/model.hpp"
#include "actors/train/session.hpp"
#include "actors/train/session_parts.hpp"
#include "actors/train/step_vector.hpp"

namespace ds::train {

/// A logical rank's share of a step that is to be computed.
struct ShareOrder {
  std::uint64_t step = 0;  ///< committed steps before it
  std::uint32_t logical = 0;
  std::uint32_t batches = 1;       ///< that the step takes, one after the other
  double divisor = 1;              ///< of the rows' losses
  double scale = 1;                ///< of the gradient
  std::span<const float> buffers;  ///< what the model's begin as
  std::span<const std::int64_t> counters;
  bool measures_noise = false;
};

/// Computes shares of steps with a session's model, from batches that are made ahead of need. One thread.
class ShareComputer {
 public:
  explicit ShareComputer(const SessionParts& parts);  ///< which must outlive it

  const BatchSchedule& schedule() const { return maker_.schedule(); }
  const Boundaries& boundaries() const { return maker_.boundaries(); }
  void set_batch_source(const TrainingSession::MakeSource& make) { source_ = make(maker_); }
  void watch(std::function<Result<void>(const TakenShare&)> watch) { watch_ = std::move(watch); }

  void watch_pieces(PieceWatch* watch) { pieces_ = watch; }

  /// The shares of these ranks, of the step after `step` and later ones, will be wanted; of steps that take
  /// up to `batches` batches.
  void expect(collective::RankRange hosted, std::uint64_t step, std::uint32_t batches = 1);
  /// The step was made: the next is the one after `step`.
  void go_on(std::uint64_t step);
  /// Steps jump.
  void forget() { expecting_.reset(); }

  /// The gradient, buffers and counters go into the model, the rest is returned, with views of the order's
  /// and the model's. A share may be empty.
  Result<StepVector::Share> compute(const ShareOrder& order, const Model::OnReady& on_ready,
                                    StepResult& result);

 private:
  Result<double> compute_micro_batch(const MicroBatch& which, const ShareOrder& order,
                                     const Model::OnReady& on_ready, StepVector::Share& share,
                                     StepResult& result);
  Result<void> tell(const ShareOrder& order, std::uint64_t batch);

  const scheduler::JobSpec& spec_;
  Model& model_;
  const BatchMaker maker_;
  std::function<Result<void>(const TakenShare&)> watch_;
  PieceWatch* pieces_ = nullptr;
  std::vector<std::uint64_t> taken_;  ///< samples of the share that is computed; only when watched
  /// What the source expects: the generation's ranks, and the step that follows without a jump.
  struct Expecting {
    collective::RankRange hosted;
    std::uint64_t step = 0;
    std::uint32_t batches = 1;
    bool operator==(const Expecting&) const = default;
  };
  std::optional<Expecting> expecting_;
  std::unique_ptr<BatchSource> source_;  ///< last: its thread uses the others
};

}  // namespace ds::train
