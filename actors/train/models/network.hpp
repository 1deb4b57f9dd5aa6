#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/train/models/script_text.hpp"
#include "storage/result.hpp"

namespace ds::train {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

/// What computes a model's output, for `TorchModel`. Functions throw what torch throws.
class Network {
 public:
  virtual ~Network() = default;

  /// Parameters and buffers; one that two layers share has two names.
  virtual std::vector<NamedTensor> parameters() = 0;
  virtual std::vector<NamedTensor> buffers() = 0;

  virtual void train(bool on) = 0;
  virtual at::Tensor forward(const std::vector<at::Tensor>& inputs) = 0;
  /// After forward and backward: puts values of buffers that were replaced into the buffers' own memory.
  virtual void settle() {}

  virtual Result<std::string> to_torchscript(const std::map<std::string, std::string>& extra_files) = 0;
};

/// Reads a TorchScript file; see script_archive.hpp for what is refused. `inputs` is how many arguments
/// `forward` will get.
Result<std::unique_ptr<Network>> load_script_network(const std::string& path, std::size_t inputs);

/// Compiles a text; its parameters begin as `seed` says.
std::unique_ptr<Network> make_script_network(const ScriptText& text, std::uint64_t seed);

}  // namespace ds::train
