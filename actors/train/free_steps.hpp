#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/train/batch_schedule.hpp"
#include "actors/train/boundaries.hpp"
#include "actors/train/server_parameters.hpp"
#include "actors/train/share_computer.hpp"
#include "actors/train/step_verdict.hpp"
#include "actors/train/worker_state.hpp"

namespace ds::train {

/// Steps of a job whose workers do not wait for each other's gradients (`bounded`, `async`).
///
/// Each logical rank pulls the parameters, computes the mean gradient of its share, judges and clips it by
/// itself and pushes it as an update of its own; it carries its own buffers. At boundaries, where an
/// evaluation or a checkpoint is due, an epoch or the job ends, all members meet: buffers become the mean of
/// where the ranks' went, counters and bad records are added up, servers keep them, and all have the same
/// parameters. Between boundaries ranks may be at different steps, as far as `staleness` allows. A share is
/// pushed with its number, which servers take once: so each is made once, whoever hosts the rank. What died
/// with a worker since the last boundary is how its buffers moved and the bad records it had found. One
/// thread.
class FreeSteps {
 public:
  /// All must outlive it.
  FreeSteps(const scheduler::JobSpec& spec, const Boundaries& boundaries, Model& model,
            ServerParameters& servers, ShareComputer& shares);

  /// Servers have lost shares that were made: they began anew from a checkpoint since the last generation.
  /// `clocks` as `resume` will get them.
  bool have_gone_back(const std::vector<std::uint64_t>& clocks) const;

  /// A generation begins, with what servers know: of each rank the shares made, and what the last meeting
  /// left. Gives the steps that all ranks have made.
  std::uint64_t resume(std::vector<std::uint64_t> clocks, const WorkerState& kept);

  /// All members have the same state now.
  bool settled() const { return settled_; }

  /// One step of the hosted ranks; `state` changes only when it succeeds.
  Result<StepResult> run(collective::Communicator& communicator, WorkerState& state);

  /// The optimizer's vectors at the meeting just held, where a checkpoint is due; once.
  std::optional<OptimizerVectors> take_snapshot() { return std::exchange(snapshot_, std::nullopt); }

 private:
  /// Of a hosted logical rank, since the last meeting.
  struct Rank {
    std::vector<float> buffers;
    std::vector<std::int64_t> counters;
    double loss = 0;
    bool has_loss = false;  ///< of the step that is being made
  };
  /// What a worker brings to a meeting: how buffers and counters moved, then some numbers.
  enum Number : std::size_t {
    bad_records,
    skipped,
    overflows,  ///< of the skipped ones
    losses,     ///< of the last step
    ranks_with_loss,
    scale_exponents,  ///< of fp16's loss scales, which workers move by themselves between meetings
    clean_steps,
    workers,
    kNumbers
  };

  void host(collective::RankRange hosted, WorkerState& state);
  Result<void> make_share(std::uint32_t logical, WorkerState& state, StepResult& result);
  Result<Verdict> judge(const StepVector::Share& share, const WorkerState& state) const;
  void count(Verdict verdict, Progress& progress);
  Result<void> meet(collective::Communicator& communicator, WorkerState& state, StepResult& result);
  void add_moves(std::span<double> moves) const;
  Result<void> apply(std::span<const double> moves, WorkerState& state, StepResult& result) const;
  static std::span<double> numbers(std::vector<double>& moves) { return std::span(moves).last(kNumbers); }
  double number(Number which) const { return moves_[moves_.size() - kNumbers + which]; }
  /// Of a full batch.
  ActiveRanks active() const {
    return active_ranks(schedule_.batch_after(0).positions, spec_.logical_ranks());
  }

  /// After this step all members meet.
  bool meets(std::uint64_t step) const {
    return boundaries_.is_checkpoint(step) || boundaries_.is_evaluation(step);
  }

  const scheduler::JobSpec& spec_;
  const BatchSchedule& schedule_;
  const Boundaries& boundaries_;
  Model& model_;
  ServerParameters& servers_;
  ShareComputer& shares_;
  std::vector<std::uint64_t> clocks_;  ///< of all ranks when the generation began; of hosted ones now
  std::map<std::uint32_t, Rank> ranks_;
  WorkerState kept_;           ///< of the last meeting
  std::vector<double> moves_;  ///< since then, apart from `ranks_`
  bool settled_ = false;
  std::optional<OptimizerVectors> snapshot_;
};

}  // namespace ds::train
