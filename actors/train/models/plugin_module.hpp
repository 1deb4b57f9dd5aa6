#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "actors/train/models/registry.hpp"

namespace ds::train {

/// A model of a plugin, written with torch::nn: parameters, buffers and submodules are registered as usual.
class PluginModule : public torch::nn::Module {
 public:
  /// The fields of a batch besides the label, in order; the first dimension is the batch. Random numbers come
  /// from torch's default generator, which is seeded before each call; state belongs in buffers.
  virtual at::Tensor forward(const std::vector<at::Tensor>& inputs) = 0;
};

}  // namespace ds::train
