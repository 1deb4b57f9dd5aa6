#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <map>
#include <sstream>
#include <utility>

#include <ATen/ATen.h>

#include "actors/train/models/initial_values.hpp"
#include "actors/train/models/network.hpp"
#include "actors/train/models/script_archive.hpp"
#include "actors/train/models/torch_process.hpp"

namespace ds::train {
namespace {

/// Gives tensors memory of their own while it lives: an archive writes the whole memory that a view lies in.
/// (A module's deepcopy() takes views of one memory for one tensor.)
class OwnMemory {
 public:
  OwnMemory(const std::vector<NamedTensor>& parameters, const std::vector<NamedTensor>& buffers) {
    const at::NoGradGuard without_gradient;
    for (const auto* tensors : {&parameters, &buffers}) {
      for (const auto& [name, tensor] : *tensors) views_.emplace_back(tensor, tensor.detach());
    }
    for (auto& [tensor, view] : views_) tensor.set_data(view.clone());
  }
  ~OwnMemory() {
    for (auto& [tensor, view] : views_) tensor.set_data(view);
  }
  OwnMemory(const OwnMemory&) = delete;
  OwnMemory& operator=(const OwnMemory&) = delete;

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> views_;
};

/// A TorchScript module, from whatever source. The graph's executor does not optimise, so that the
/// thousandth call computes the bits of the first.
class ScriptNetwork final : public Network {
 public:
  explicit ScriptNetwork(torch::jit::Module module) : module_(std::move(module)) {
    for (const auto& owner : module_.modules()) {
      const auto& type = owner.type();
      for (std::size_t slot = 0; slot < type->numAttributes(); ++slot) {
        const c10::IValue value = owner._ivalue()->getSlot(slot);
        if (value.isTensor() && value.toTensor().defined() && !type->is_parameter(slot))
          buffers_.push_back({owner._ivalue(), slot, value.toTensor()});
      }
    }
  }

  std::vector<NamedTensor> parameters() override { return listed(module_.named_parameters()); }
  std::vector<NamedTensor> buffers() override { return listed(module_.named_buffers()); }

  void train(bool on) override {
    if (training_ != on) module_.train(on);
    training_ = on;
  }

  at::Tensor forward(const std::vector<at::Tensor>& inputs) override {
    const torch::jit::GraphOptimizerEnabledGuard unoptimised(false);  // a setting of the thread
    const c10::IValue output = module_.forward({inputs.begin(), inputs.end()});
    TORCH_CHECK(output.isTensor(), "forward must return a tensor, it returned a ", output.tagKind());
    return output.toTensor();
  }

  /// `self.count = self.count + 1` puts another tensor in the place of a buffer.
  void settle() override {
    const at::NoGradGuard without_gradient;
    for (Slot& slot : buffers_) {
      const at::Tensor now = slot.owner->getSlot(slot.index).toTensor();
      if (now.is_same(slot.tensor)) continue;
      TORCH_CHECK(now.sizes() == slot.tensor.sizes(), "forward changes the shape of the buffer ",
                  slot.owner->type()->getAttributeName(slot.index));
      slot.tensor.copy_(now.clone());
      slot.owner->setSlot(slot.index, slot.tensor);
    }
  }

  Result<std::string> to_torchscript(const std::map<std::string, std::string>& extra_files) override {
    train(false);
    const OwnMemory apart(parameters(), buffers());
    std::ostringstream out;
    module_.save(out, torch::jit::ExtraFilesMap(extra_files.begin(), extra_files.end()));
    return std::move(out).str();
  }

 private:
  struct Slot {
    c10::intrusive_ptr<c10::ivalue::Object> owner;
    std::size_t index;
    at::Tensor tensor;
  };

  template <class List>
  static std::vector<NamedTensor> listed(const List& list) {
    std::vector<NamedTensor> tensors;
    for (const auto& named : list) {
      if (named.value.defined()) tensors.push_back({named.name, named.value});
    }
    return tensors;
  }

  torch::jit::Module module_;
  std::vector<Slot> buffers_;
  bool training_ = false;
};

/// Modules by the path to them, made when first asked for.
class ModuleTree {
 public:
  explicit ModuleTree(std::string name)
      : unit_(std::make_shared<torch::jit::CompilationUnit>()), name_(std::move(name)) {
    at("");
  }

  /// The module that holds the tensor of this name, and the tensor's name in it.
  std::pair<torch::jit::Module, std::string> holder_of(const std::string& tensor) {
    const std::size_t dot = tensor.rfind('.');
    if (dot == std::string::npos) return {at(""), tensor};
    return {at(tensor.substr(0, dot)), tensor.substr(dot + 1)};
  }

  torch::jit::Module at(const std::string& path) {
    if (const auto found = modules_.find(path); found != modules_.end()) return found->second;
    std::string type = "__torch__." + name_ + (path.empty() ? "" : "_" + path);
    for (std::size_t i = 10; i < type.size(); ++i) {
      if (type[i] == '.') type[i] = '_';
    }
    torch::jit::Module module(type, unit_);
    module.register_attribute("training", c10::BoolType::get(), false);
    modules_.emplace(path, module);
    if (!path.empty()) {
      auto [parent, name] = holder_of(path);
      parent.register_module(name, module);
    }
    return module;
  }

 private:
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  std::string name_;
  std::map<std::string, torch::jit::Module> modules_;
};

}  // namespace

std::unique_ptr<Network> make_script_network(const ScriptText& text, std::uint64_t seed) {
  std::int64_t count = 0;
  std::vector<std::int64_t> sizes;
  for (const ScriptText::Parameter& parameter : text.parameters) {
    sizes.push_back(c10::multiply_integers(parameter.shape));
    count += sizes.back();
  }
  const at::Tensor flat = at::empty({count}, at::kFloat);
  write_initial_values(text.parameters, seed, {flat.data_ptr<float>(), static_cast<std::size_t>(count)});

  ModuleTree tree(text.name);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    auto [holder, name] = tree.holder_of(text.parameters[i].name);
    const at::Tensor tensor = flat.narrow(0, offset, sizes[i]).view(text.parameters[i].shape).detach();
    holder.register_parameter(name, tensor.set_requires_grad(true), false);
    offset += sizes[i];
  }
  for (const ScriptText::Buffer& buffer : text.buffers) {
    auto [holder, name] = tree.holder_of(buffer.name);
    holder.register_buffer(name, at::full(buffer.shape, buffer.value, at::kFloat));
  }
  for (const std::string& counter : text.counters) {
    auto [holder, name] = tree.holder_of(counter);
    holder.register_buffer(name, at::zeros({}, at::kLong));
  }
  torch::jit::Module module = tree.at("");
  module.define(text.source);
  return std::make_unique<ScriptNetwork>(std::move(module));
}

Result<std::unique_ptr<Network>> load_script_network(const std::string& path, std::size_t inputs) {
  Result<torch::jit::Module> module = load_script_archive(path, inputs);
  if (!module) return tl::unexpected(module.error());
  module->train(false);
  return std::make_unique<ScriptNetwork>(*std::move(module));
}

}  // namespace ds::train
