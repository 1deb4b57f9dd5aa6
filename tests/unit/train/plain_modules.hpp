#pragma once

#include <torch/torch.h>

#include <functional>
#include <map>
#include <string>

#include "actors/train/model.hpp"

namespace ds::train {

/// A model as somebody writes it who knows PyTorch only: its tensors by the names of a state_dict, in
/// training mode.
struct PlainModel {
  std::map<std::string, torch::Tensor> parameters, buffers;
  std::function<torch::Tensor(const torch::Tensor&)> forward;
};

/// The model of the request, made of torch::nn's modules and without dropout; a TorchScript file is loaded.
/// Throws for a model that is not written here.
PlainModel make_plain_model(const ModelRequest& request);

}  // namespace ds::train
