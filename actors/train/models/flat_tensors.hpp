#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/train/model.hpp"
#include "actors/train/models/network.hpp"

namespace ds::train {

/// The tensors of a network, moved into flat vectors of which they become views.
///
/// Parameters that want a gradient go into `parameters`, and `gradients` has room for as many; frozen
/// parameters and floating-point buffers into `buffers`, as float32 whatever they were; int64 buffers into
/// `counters`. Buffers of other types (masks, small integers) stay where they are, constant. All flat vectors
/// lie in blocks that can be lent to other processes of the host (`fabric::take_block`).
class FlatTensors {
 public:
  /// `invalid_argument` for a tensor that is complex or shares a part of its memory with another.
  static Result<FlatTensors> take(Network& network);

  const std::vector<TensorSlot>& parameter_slots() const { return parameters_.slots; }
  const std::vector<TensorSlot>& buffer_slots() const { return buffers_.slots; }
  const std::vector<TensorSlot>& counter_slots() const { return counters_.slots; }
  std::span<float> parameters() { return elements<float>(parameters_.flat); }
  std::span<float> gradients() { return elements<float>(gradients_); }
  std::span<float> buffers() { return elements<float>(buffers_.flat); }
  std::span<std::int64_t> counters() { return elements<std::int64_t>(counters_.flat); }

  /// Keeps the memory of parameters and gradients.
  std::shared_ptr<const void> memory() const {
    return std::make_shared<const std::vector<at::Tensor>>(
        std::vector<at::Tensor>{parameters_.flat, gradients_});
  }

  /// In the order of their slots.
  const std::vector<at::Tensor>& trained() const { return parameters_.tensors; }

  /// Throws when a constant was changed.
  void check() const;

  /// All tensors by name, each with memory of its own.
  std::vector<NamedTensor> copies() const;

 private:
  struct Kind {
    std::vector<TensorSlot> slots;
    std::vector<at::Tensor> tensors;
    at::Tensor flat;

    void add(const NamedTensor& named);
    void move_into_flat(at::ScalarType type);
    at::Tensor view_of(const at::Tensor& flat_one, std::size_t index) const;
  };

  template <class T>
  static std::span<T> elements(const at::Tensor& flat) {
    return {flat.data_ptr<T>(), static_cast<std::size_t>(flat.numel())};
  }

  Kind parameters_, buffers_, counters_;
  at::Tensor gradients_;
  std::vector<NamedTensor> constants_;
  std::vector<std::uint32_t> versions_;  ///< of the constants
  std::vector<NamedTensor> all_;
};

}  // namespace ds::train
