#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "actors/train/model.hpp"

namespace ds::train {

/// Where the gradients of all parameters add up: a flat vector, each parameter's part at its slot.
///
/// Zeros are owed rather than written: what comes first is put there, what follows is added. Same bits as
/// adding to zeros.
class GradientSink {
 public:
  GradientSink(const std::vector<TensorSlot>& slots, std::span<float> own)
      : slots_(slots), own_(own), all_(own), owed_(slots.size(), true) {}

  /// Into `memory` from now on, which holds nothing yet; empty: into its own.
  void move_to(std::span<float> memory);
  void zero() { owed_.assign(owed_.size(), true); }

  /// Adds a parameter's gradient; undefined: none.
  void add(std::size_t parameter, const at::Tensor& gradient);
  /// From now on measures what it adds, if `on`.
  void measure(bool on) { squares_.assign(on ? slots_.size() : 0, 0); }
  /// The squared norm of what was added since the last call; 0 if that is not measured. A parameter's
  /// gradient comes at most once in between.
  double take_squared_norm();

  /// Writes the zeros that are owed.
  void settle();

  std::span<float> all() const { return all_; }

 private:
  std::span<float> part(std::size_t parameter) const {
    return all_.subspan(slots_[parameter].offset, slots_[parameter].size);
  }

  const std::vector<TensorSlot>& slots_;
  const std::span<float> own_;
  std::span<float> all_;
  std::vector<bool> owed_;
  std::vector<double> squares_;  ///< by parameter: they come in any order; empty: not measured
};

}  // namespace ds::train
