#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "actors/train/gradient_noise.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::train {

/// A step's gradients summed up over all samples, before anything is cut.
struct SummedStep {
  std::uint64_t step = 0;           ///< optimizer steps before it
  std::span<const float> gradient;  ///< of the rows' losses, divided by `divisor`; empty: servers have it
  double squared_norm = 0;          ///< of that, where servers have it
  double divisor = 1;
  double rows = 0;
  NoiseSums sums;  ///< where it `measures_noise`
};

/// Measures the gradient's noise in a session's steps. One thread.
///
/// A step of several micro-batches is measured by itself, into the job's state. Where a step is one
/// micro-batch, two steps in a row take the place of two (as in Pollux: Qiao et al., OSDI 2021), though the
/// parameters move in between; that is kept here alone and begins again with the session or another state,
/// for it would make a state depend on where its worker was restarted.
class NoiseMeter {
 public:
  /// The first step's gradient is kept until the next one: not of a model that is larger.
  static constexpr std::size_t kMostPairedBytes = std::size_t{64} << 20;

  explicit NoiseMeter(const scheduler::JobSpec& spec) : spec_(spec) {}  ///< which must outlive it

  /// What a step that changes the parameters says of the noise; steps in order.
  std::optional<NoiseMeasured> measure(const SummedStep& step);
  /// When that step has changed them.
  void add(const NoiseMeasured& measured, NoiseSoFar& of_state);
  /// A step is passed over: it is no second one of a pair.
  void forget_first() { first_.reset(); }
  /// The session goes on from another state.
  void begin_again();
  /// In samples; 0: not known.
  double scale(const NoiseSoFar& of_state) const;

 private:
  struct First {
    std::uint64_t step = 0;
    std::vector<float> gradient;
    double squared_norm = 0, divisor = 1, rows = 0;
  };
  bool has_pairs() const { return count_micro_batches(spec_) == 1; }
  std::optional<NoiseMeasured> measure_pair(const SummedStep& step);
  void keep_first(const SummedStep& step);

  const scheduler::JobSpec& spec_;
  std::optional<First> first_;  ///< of two steps
  NoiseSoFar of_pairs_;
};

}  // namespace ds::train
