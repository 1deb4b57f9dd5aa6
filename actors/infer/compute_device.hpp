#pragma once

// Private to actors/infer.

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "storage/result.hpp"

namespace ds::infer {

/// The processor or GPU that a model computes on, and the way there and back. Knows torch's general interface
/// only, so it compiles against a libtorch without CUDA, and works with any.
class ComputeDevice {
 public:
  /// `cpu`, `cuda` or `cuda:N`, which counts the GPUs that CUDA shows this process. A GPU computes in fp32
  /// what is fp32 from then on: libtorch would shorten convolutions' numbers to TF32. Errors:
  /// `invalid_argument` for another name; `unsupported` where libtorch has no CUDA; `unavailable` where there
  /// is no such GPU, or it does not compute (it is broken, or another process has it for itself);
  /// `resource_exhausted` where others have all its memory.
  static Result<ComputeDevice> open(const std::string& name);

  at::Device device() const { return device_; }
  bool is_gpu() const { return !device_.is_cpu(); }

  /// A tensor of the host to be filled and taken over once: page-locked for a GPU, so that the copy goes
  /// beside other work.
  at::Tensor make_host_tensor(at::IntArrayRef shape, at::ScalarType type) const;
  /// On the device. A copy from page-locked memory is under way when this returns; later work on the same
  /// stream waits for it. Let go of `host` before anything else runs there: see `bring_back`.
  at::Tensor take_over(const at::Tensor& host) const;
  /// In the host's memory, contiguous, all copies ended, and so what they are the result of. Throws what went
  /// wrong on a GPU before.
  std::vector<at::Tensor> bring_back(const std::vector<at::Tensor>& tensors) const;

  /// False after an error from which a GPU's context does not recover, such as an index out of range in a
  /// kernel: this process can't use it any more. Waits for what runs there.
  bool is_usable() const noexcept;

 private:
  explicit ComputeDevice(at::Device device) : device_(device) {}

  void wait() const;

  at::Device device_;
};

}  // namespace ds::infer
