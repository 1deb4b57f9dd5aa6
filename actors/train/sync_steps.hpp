#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/train/server_parameters.hpp"
#include "actors/train/session.hpp"
#include "actors/train/worker_state.hpp"

namespace ds::train {

/// Synchronous steps with parameter servers: gradients are summed and applied there, what is small goes
/// through the members. All sums follow the fixed tree. One thread.
class SyncSteps {
 public:
  SyncSteps(const scheduler::JobSpec& spec, ServerParameters& servers) : spec_(spec), servers_(servers) {}

  /// Computes one logical rank's share into the model and writes what is small behind no gradients.
  using WriteShare = std::function<Result<void>(std::uint32_t logical, std::span<float> rest)>;
  /// Leaves the sum of what is small in `sum`, the gradients' at the servers, multiplied by `order.unscale`
  /// and not yet applied. After a failure the communicator is dead.
  Result<void> sum_up(collective::Communicator& communicator, const ServerParameters::PushOrder& order,
                      const WriteShare& write, std::span<float> sum);

  /// The first element of the gradients' sum that is not finite.
  std::optional<std::size_t> not_finite() const { return pushed_.not_finite; }

  /// Of the gradients' sum before anything is cut, where it is finite and `measures_noise`.
  double squared_norm() const { return pushed_.squared_norm; }

  /// Makes the step that leads to `after`; all members come to the same, so that the first of them makes it.
  /// `updates` are counted with this one.
  Result<void> commit(const StepResult& result, const WorkerState& after, std::uint64_t updates);

 private:
  Result<void> compute(collective::RankRange hosted, std::uint64_t step, const WriteShare& write,
                       std::size_t size);

  const scheduler::JobSpec& spec_;
  ServerParameters& servers_;
  ServerParameters::Pushed pushed_;  ///< what servers say of the step's gradients
  std::vector<float> rests_;         ///< of each hosted rank
};

}  // namespace ds::train
