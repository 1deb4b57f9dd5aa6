#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/train/models/module_network.hpp"

#include "actors/train/models/plugin_module.hpp"
#include "actors/train/models/torch_process.hpp"

namespace ds::train {
namespace {

class ModuleNetwork final : public Network {
 public:
  explicit ModuleNetwork(std::shared_ptr<PluginModule> module) : module_(std::move(module)) {}

  std::vector<NamedTensor> parameters() override { return listed(module_->named_parameters()); }
  std::vector<NamedTensor> buffers() override { return listed(module_->named_buffers()); }
  void train(bool on) override { module_->train(on); }
  at::Tensor forward(const std::vector<at::Tensor>& inputs) override { return module_->forward(inputs); }

  Result<std::string> to_torchscript(const std::map<std::string, std::string>&) override {
    return fail(ErrorCode::unsupported, "a plugin's model of torch::nn modules has no export to TorchScript",
                "export its state_dict or safetensors, or register it as a script");
  }

 private:
  static std::vector<NamedTensor> listed(const torch::OrderedDict<std::string, at::Tensor>& tensors) {
    std::vector<NamedTensor> list;
    for (const auto& item : tensors) {
      if (item.value().defined()) list.push_back({item.key(), item.value()});
    }
    return list;
  }

  std::shared_ptr<PluginModule> module_;
};

}  // namespace

Result<std::unique_ptr<Network>> make_module_network(const ModuleMaker& maker, const ModelRequest& request) {
  const auto turn = seed_torch(request.seed);
  Result<std::shared_ptr<PluginModule>> module = maker(request);
  if (!module) return tl::unexpected(module.error());
  if (*module == nullptr)
    return fail(ErrorCode::invalid_argument, "model.plugin: it made no model of the name it registered");
  (*module)->eval();
  return std::make_unique<ModuleNetwork>(*std::move(module));
}

}  // namespace ds::train
