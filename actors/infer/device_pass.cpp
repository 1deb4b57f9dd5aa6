#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/infer/device_pass.hpp"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <vector>

#include "actors/infer/graph_nodes.hpp"

namespace ds::infer {
namespace {

using torch::jit::Node;

const auto kPack = c10::Symbol::fromQualString("aten::_pack_padded_sequence");
const auto kNamed = c10::Symbol::fromQualString("aten::device");
const auto kToHost = c10::Symbol::fromQualString("aten::cpu");

class Mover {
 public:
  Mover(torch::jit::Graph& graph, c10::Device device) : graph_(graph), device_(device) {}

  void run() {
    std::vector<Node*> nodes;
    list_nodes(graph_.block(), nodes);
    for (Node* node : nodes) {
      if (node->kind() == c10::prim::Constant || node->kind() == c10::prim::GetAttr ||
          node->kind() == kNamed) {
        change_device(*node);
      } else if (node->kind() == kPack) {
        bring_lengths_back(*node);
      } else {
        say_where(*node);
      }
    }
  }

 private:
  /// A traced program has the device that it was traced on in it, a scripted one may keep it as an attribute.
  void change_device(Node& node) {
    if (node.outputs().size() != 1 || node.output()->type()->kind() != c10::TypeKind::DeviceObjType) return;
    const torch::jit::WithInsertPoint here(&node);
    node.output()->replaceAllUsesWith(graph_.insertConstant(device_));
  }

  /// What makes a tensor of none, and would make it on the host.
  void say_where(Node& node) {
    const c10::FunctionSchema* schema = node.maybeSchema();
    if (schema == nullptr) return;
    const auto inputs = node.inputs();
    if (std::ranges::any_of(inputs, [](const auto* input) { return is_tensor(*input); })) return;
    const auto& arguments = schema->arguments();
    for (std::size_t i = 0; i < std::min(arguments.size(), inputs.size()); ++i) {
      if (arguments[i].name() != "device" || !node.input(i)->mustBeNone()) continue;
      const torch::jit::WithInsertPoint here(&node);
      node.replaceInput(i, graph_.insertConstant(device_));
    }
  }

  /// Torch wants them in the host's memory.
  void bring_lengths_back(Node& node) {
    const torch::jit::WithInsertPoint here(&node);
    node.replaceInput(1, graph_.insert(kToHost, {node.input(1)}));
  }

  torch::jit::Graph& graph_;
  const c10::Device device_;
};

}  // namespace

void compute_on(const torch::jit::Module& module, c10::Device device) {
  for (torch::jit::Function* function : module._ivalue()->compilation_unit()->get_functions()) {
    const auto* compiled = torch::jit::tryToGraphFunction(*function);
    if (compiled != nullptr) Mover(*compiled->graph(), device).run();
  }
}

}  // namespace ds::infer
