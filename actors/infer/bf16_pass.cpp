#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/infer/bf16_pass.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/runtime/custom_operator.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/infer/encoder_layers.hpp"
#include "actors/infer/graph_nodes.hpp"
#include "actors/train/models/torch_process.hpp"

namespace ds::infer {
namespace {

using torch::jit::Node;
using torch::jit::Value;

const auto kConvert = c10::Symbol::fromQualString("ds_bf16::convert");
const auto kWiden = c10::Symbol::fromQualString("ds_bf16::widen");
const auto kTypeOf = c10::Symbol::fromQualString("ds_bf16::type_of");
constexpr std::size_t kTransposedArgument = 6;  // of `aten::convolution` and `aten::_convolution`

/// Layers whose weights and input have to be of one type.
const std::set<std::string> kWithWeights{
    "aten::linear",       "aten::addmm",         "aten::matmul",
    "aten::mm",           "aten::bmm",           "aten::mv",
    "aten::addmv",        "aten::dot",           "aten::einsum",
    "aten::tensordot",    "aten::baddbmm",       "aten::bilinear",
    "aten::conv1d",       "aten::conv2d",        "aten::conv3d",
    "aten::_convolution", "aten::convolution",   "aten::lstm",
    "aten::gru",          "aten::rnn_tanh",      "aten::rnn_relu",
    "aten::prelu",        "aten::layer_norm",    "aten::group_norm",
    "aten::batch_norm",   "aten::instance_norm", "aten::scaled_dot_product_attention"};

/// Torch 1.13 computes something else than these where its library has BF16 and their input does: they stay
/// fp32.
const std::set<std::string> kTransposed{"aten::conv_transpose1d", "aten::conv_transpose2d",
                                        "aten::conv_transpose3d"};

/// What makes numbers of torch's default type when no type is said.
const std::set<std::string> kMakers{"aten::zeros",    "aten::ones",     "aten::empty",
                                    "aten::full",     "aten::rand",     "aten::randn",
                                    "aten::linspace", "aten::logspace", "aten::eye"};

/// What positions are made by. BF16 has not every whole number above 256, so these stay what they are where
/// they are made of whole numbers, and always in `aten::arange`.
const std::set<std::string> kCounters{"aten::to", "aten::cumsum"};

at::Tensor converted(const at::Tensor& tensor) {
  return tensor.defined() && tensor.is_floating_point() ? tensor.to(at::kBFloat16) : tensor;
}

/// Whole numbers that BF16 has not: positions, which freezing has computed, or a mask's least number.
bool is_counted(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_floating_point() || tensor.layout() != at::kStrided) return false;
  const at::Tensor numbers = tensor.to(at::kFloat);  // torch rounds no FP16
  return numbers.equal(numbers.round()) && !numbers.equal(numbers.to(at::kBFloat16).to(at::kFloat));
}

at::Tensor widened(const at::Tensor& tensor) {
  return tensor.defined() && tensor.is_floating_point() ? tensor.to(at::kFloat) : tensor;
}

template <at::Tensor (*change)(const at::Tensor&)>
void change_top(torch::jit::Stack& stack) {
  const at::Tensor given = torch::jit::pop(stack).toTensor();
  torch::jit::push(stack, change(given));
}

/// Of what is made of the tensor when the program says `wanted`, which is a floating-point type.
void push_type_of(torch::jit::Stack& stack) {
  const std::int64_t wanted = torch::jit::pop(stack).toInt();
  const at::Tensor given = torch::jit::pop(stack).toTensor();
  torch::jit::push(stack, given.is_floating_point() ? static_cast<std::int64_t>(at::kBFloat16) : wanted);
}

const torch::jit::RegisterOperators kBf16Operators(
    {torch::jit::Operator("ds_bf16::type_of(Tensor given, int wanted) -> int", push_type_of,
                          c10::AliasAnalysisKind::FROM_SCHEMA),
     torch::jit::Operator("ds_bf16::convert(Tensor(a) given) -> Tensor(a)", change_top<converted>,
                          c10::AliasAnalysisKind::FROM_SCHEMA),
     torch::jit::Operator("ds_bf16::widen(Tensor(a) given) -> Tensor(a)", change_top<widened>,
                          c10::AliasAnalysisKind::FROM_SCHEMA)});

class Converter {
 public:
  explicit Converter(torch::jit::Graph& graph) : graph_(graph) {}

  void run() {
    std::vector<Node*> nodes;
    list_nodes(graph_.block(), nodes);
    for (Node* node : nodes) {
      if (node->kind() == c10::prim::Constant) {
        convert_constant(*node);
        continue;
      }
      change_types(*node);
      if (is_transposed(*node)) {
        widen_inputs(*node);
      } else if (kWithWeights.contains(node->kind().toQualString())) {
        convert_inputs(*node);
      }
    }
    torch::jit::EliminateDeadCode(graph_.block());
  }

 private:
  void convert_constant(Node& node) {
    if (node.outputs().size() != 1) return;
    const auto constant = torch::jit::toIValue(node.output());
    if (!constant) return;
    c10::IValue fresh;
    if (constant->isTensor()) {
      if (is_counted(constant->toTensor())) return;
      fresh = once(constant->toTensor());
    } else if (constant->isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : constant->toTensorVector()) list.push_back(once(tensor));
      fresh = list;
    } else {
      return;
    }
    const torch::jit::WithInsertPoint here(&node);
    node.output()->replaceAllUsesWith(graph_.insertConstant(fresh));
  }

  /// Tensors that several constants share are shared afterwards, too.
  at::Tensor once(const at::Tensor& tensor) {
    if (!tensor.defined() || !tensor.is_floating_point()) return tensor;
    const auto [known, is_new] = converted_.try_emplace(tensor.unsafeGetTensorImpl());
    if (is_new) known->second = {tensor, converted(tensor)};
    return known->second.second;
  }

  /// Floating-point types that the node names, or doesn't.
  void change_types(Node& node) {
    const c10::FunctionSchema* schema = node.maybeSchema();
    if (schema == nullptr || node.kind() == c10::aten::arange) return;
    const auto& arguments = schema->arguments();
    for (std::size_t i = 0; i < std::min(arguments.size(), node.inputs().size()); ++i) {
      if (arguments[i].name() != "dtype") continue;
      const auto type = torch::jit::toIValue(node.input(i));
      if (!type) continue;
      const bool is_floating =
          type->isInt() && at::isFloatingType(static_cast<at::ScalarType>(type->toInt()));
      if (!is_floating && !(type->isNone() && makes_floats(node))) continue;
      if (kCounters.contains(node.kind().toQualString()) && is_tensor(*node.input(0))) {
        Node* const chosen = graph_.create(kTypeOf, {node.input(0), node.input(i)}, 1);
        chosen->output()->setType(c10::IntType::get());
        chosen->insertBefore(&node);
        node.replaceInput(i, chosen->output());
        continue;
      }
      const torch::jit::WithInsertPoint here(&node);
      node.replaceInput(i, graph_.insertConstant(static_cast<std::int64_t>(at::kBFloat16)));
    }
  }

  static bool makes_floats(const Node& node) {
    const std::string kind = node.kind().toQualString();
    if (!kMakers.contains(kind)) return false;
    return kind != "aten::full" || node.input(1)->type()->kind() == c10::TypeKind::FloatType;
  }

  static bool is_transposed(const Node& node) {
    const std::string kind = node.kind().toQualString();
    if (kTransposed.contains(kind)) return true;
    if (kind != "aten::convolution" && kind != "aten::_convolution") return false;
    const auto transposed = torch::jit::toIValue(node.input(kTransposedArgument));
    return !transposed || !transposed->isBool() || transposed->toBool();
  }

  void widen_inputs(Node& node) {
    for (std::size_t i = 0; i < node.inputs().size(); ++i) {
      if (!is_tensor(*node.input(i))) continue;
      const torch::jit::WithInsertPoint here(&node);
      const auto constant = torch::jit::toIValue(node.input(i));
      if (constant && constant->isTensor()) {
        node.replaceInput(i, graph_.insertConstant(widened(constant->toTensor())));
      } else if (!constant) {
        put_before(node, i, kWiden);
      }
    }
  }

  void convert_inputs(Node& node) {
    for (std::size_t i = 0; i < node.inputs().size(); ++i) {
      Value* const input = node.input(i);
      if (is_tensor(*input)) {
        convert_input(node, i);
      } else if (input->node()->kind() == c10::prim::ListConstruct) {
        Node& list = *input->node();
        for (std::size_t k = 0; k < list.inputs().size(); ++k) {
          if (is_tensor(*list.input(k))) convert_input(list, k);
        }
      }
    }
  }

  void convert_input(Node& node, std::size_t place) {
    Value* const input = node.input(place);
    const auto maker = input->node()->kind();
    if (maker == kConvert) return;
    const auto constant = torch::jit::toIValue(input);
    if (!constant) return put_before(node, place, kConvert);
    if (!constant->isTensor() || !is_counted(constant->toTensor())) return;
    const torch::jit::WithInsertPoint here(&node);
    node.replaceInput(place, graph_.insertConstant(once(constant->toTensor())));
  }

  void put_before(Node& node, std::size_t place, c10::Symbol what) {
    Node* const fresh = graph_.create(what, {node.input(place)}, 1);
    fresh->output()->setType(c10::TensorType::get());
    fresh->insertBefore(&node);
    node.replaceInput(place, fresh->output());
  }

  torch::jit::Graph& graph_;
  /// By address, with what lies there, so that nothing else does.
  std::map<const void*, std::pair<at::Tensor, at::Tensor>> converted_;
};

}  // namespace

Result<torch::jit::Module> to_bf16(const torch::jit::Module& module, bool is_on_gpu) {
  return train::guarded("precision: bf16: the model can't be prepared for it", ErrorCode::invalid_argument,
                        [&]() -> Result<torch::jit::Module> {
                          auto made = torch::jit::freeze(module, {}, /*optimize_numerics=*/false);
                          // What freezing leaves is what the program changes.
                          for (at::Tensor tensor : made.parameters()) tensor.set_data(converted(tensor));
                          for (at::Tensor tensor : made.buffers()) tensor.set_data(converted(tensor));
                          const auto graph =
                              torch::jit::toGraphFunction(made.get_method("forward").function()).graph();
                          unfold_encoder_layers(graph, is_on_gpu);
                          Converter(*graph).run();
                          return made;
                        });
}

}  // namespace ds::infer
