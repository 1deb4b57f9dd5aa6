#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/collective/rank_range.hpp"
#include "actors/parameters/link.hpp"
#include "actors/train/gradient_encoder.hpp"
#include "actors/train/gradient_fold.hpp"
#include "actors/train/model.hpp"
#include "scheduler/spec/job_spec.hpp"
#include "storage/result.hpp"

namespace ds::train {

/// The optimizer's flat vectors, by the names that they have in a `StateImage`.
using OptimizerVectors = std::vector<std::pair<std::string, Buffer>>;

/// A model's parameters as they live on parameter servers: a worker's end of it. What is pulled goes into the
/// model once all ranges have answered, so that a call that fails changes nothing here. One thread.
class ServerParameters {
 public:
  /// Both must outlive it.
  ServerParameters(const scheduler::JobSpec& spec, Model& model);

  /// From here on talks over `link`, to servers of which nothing is known yet.
  void use(std::shared_ptr<parameters::Link> link);
  bool is_connected() const { return link_ != nullptr; }
  bool is_sync() const { return spec_.strategy.consistency == "sync"; }
  /// The model's parameters or the training's step have changed by other means.
  void forget();

  /// Gives ranges without a state the model's parameters and all that belongs to them.
  Result<void> install(std::uint64_t step, std::uint64_t updates, const OptimizerVectors& optimizer,
                       const Buffer& worker_state);

  /// What `top_k` left out of other ranks' gradients is forgotten: they live elsewhere now.
  void keep_only(collective::RankRange hosted) { encoder_->keep_only(hosted); }
  /// Likewise of all: it is of steps that servers have lost.
  void forget_left_out() { encoder_->forget(); }

  struct View {
    std::uint64_t step = 0;             ///< sync
    std::vector<std::uint64_t> clocks;  ///< else: of each rank the smallest that any range has
    std::vector<Buffer> worker_states;  ///< by range
  };
  /// Brings the model's parameters up to date, once every clock is at least `at_least`.
  Result<View> pull(std::uint64_t at_least);

  // ---- sync
  void begin_step(collective::RankRange hosted);
  /// Takes the model's gradients as logical rank `logical`'s, ranks in order. They may change only after
  /// `settle` or `push`.
  void add(std::uint32_t logical, std::uint64_t step);
  void settle() { fold_.settle(); }
  struct Pushed {
    std::optional<std::uint64_t> not_finite;  ///< the first such element of the sum
    double norm = 0;                          ///< of the sum, where it is finite and has to be clipped
    double squared_norm = 0;                  ///< before anything is cut; where it is finite and measured
  };
  struct PushOrder {
    std::uint64_t step = 0;   ///< committed before
    std::uint64_t steps = 1;  ///< that are made at once
    double unscale = 1;       ///< what the sums are multiplied by first
    bool measures = false;    ///< their norm is wanted
  };
  /// Pushes what was added and waits until the sums of all are prepared. All workers say the same.
  Result<Pushed> push(const PushOrder& order);
  /// Commits and brings the model's parameters up to date.
  Result<void> commit(const parameters::Commit& commit);

  // ---- bounded, async
  /// Pushes the model's gradients as one rank's update; none: only the clock moves.
  Result<void> push_update(std::uint32_t logical, std::uint64_t clock, bool updated, double learning_rate);
  Result<void> keep(std::uint64_t clock, const Buffer& worker_state);

  /// The optimizer's vectors as they are after `step` steps; `unavailable` when servers have gone on since.
  Result<OptimizerVectors> read_optimizer(std::uint64_t step);

 private:
  using Ranges = std::vector<parameters::KeyRange>;
  const Ranges& ranges() const { return link_->ranges(); }
  Buffer lend(std::span<const float> values) const;
  template <class Answer>
  Result<std::vector<Answer>> call(std::vector<parameters::Request> requests);
  Result<View> take(const std::vector<parameters::Pulled>& pulled);

  const scheduler::JobSpec& spec_;
  Model& model_;
  const std::shared_ptr<const void> memory_;  ///< of the model's vectors
  std::shared_ptr<parameters::Link> link_;
  std::optional<GradientEncoder> encoder_;  ///< once there is a link
  GradientFold fold_;
  std::vector<std::vector<parameters::TreePart>> encoded_;  ///< by range: lossy parts of this step
  std::vector<std::uint64_t> versions_;                     ///< by range: that the model has
};

}  // namespace ds::train
