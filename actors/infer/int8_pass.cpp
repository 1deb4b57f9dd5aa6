#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/infer/int8_pass.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "actors/infer/encoder_layers.hpp"
#include "actors/infer/graph_nodes.hpp"
#include "actors/infer/int8_layers.hpp"
#include "actors/train/models/torch_process.hpp"

namespace ds::infer {
namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

constexpr const char* kNoLayerHint =
    "quantize: int8 is for linear and LSTM layers of at least 1024 float weights; leave it out to serve the "
    "model "
    "as it is";

std::optional<at::Tensor> constant_tensor(Value* value) {
  const auto constant = torch::jit::toIValue(value);
  if (!constant || !constant->isTensor()) return std::nullopt;
  return constant->toTensor();
}

/// A list of constants, whether it is one itself or made of them.
std::optional<std::vector<at::Tensor>> constant_tensors(Value* value) {
  if (const auto constant = torch::jit::toIValue(value)) {
    if (!constant->isTensorList()) return std::nullopt;
    return constant->toTensorVector();
  }
  if (value->node()->kind() != c10::prim::ListConstruct) return std::nullopt;
  std::vector<at::Tensor> tensors;
  for (Value* element : value->node()->inputs()) {
    auto tensor = constant_tensor(element);
    if (!tensor) return std::nullopt;
    tensors.push_back(*std::move(tensor));
  }
  return tensors;
}

template <class T>
std::optional<T> constant_of(Value* value) {
  const auto constant = torch::jit::toIValue(value);
  return constant ? std::optional(constant->to<T>()) : std::nullopt;
}

bool is_one(Value* value) {
  const auto constant = torch::jit::toIValue(value);
  return constant && constant->isScalar() && constant->toScalar().to<double>() == 1;
}

bool is_plain(const at::Tensor& tensor, std::int64_t dimensions) {
  return tensor.defined() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided &&
         tensor.device().is_cpu() && tensor.dim() == dimensions;
}

class Quantizer {
 public:
  explicit Quantizer(Graph& graph) : graph_(graph) {}

  void run() {
    std::vector<Node*> nodes;
    list_nodes(graph_.block(), nodes);
    for (Node* node : nodes) {
      const std::string kind = node->kind().toQualString();
      if (kind == "aten::linear") {
        quantize_linear(*node);
      } else if (kind == "aten::addmm") {
        quantize_addmm(*node);
      } else if (kind == "aten::matmul" || kind == "aten::mm") {
        put_linear(*node, node->input(0), node->input(1), true, std::nullopt);
      } else if (kind == "aten::lstm") {
        quantize_lstm(*node);
      }
    }
    take_activations_in();
    torch::jit::EliminateDeadCode(graph_.block());
  }

  std::uint32_t linear_layers = 0, lstm_layers = 0;

  /// Of the constants and of the layers that have taken their places.
  std::uint64_t count_bytes() const {
    std::uint64_t bytes = 0;
    std::set<const void*> seen;
    const auto add = [&](const at::Tensor& tensor) {
      if (tensor.defined() && tensor.has_storage() && seen.insert(tensor.storage().data()).second)
        bytes += tensor.storage().nbytes();
    };
    std::vector<Node*> nodes;
    list_nodes(graph_.block(), nodes);
    for (Node* node : nodes) {
      if (node->kind() != c10::prim::Constant || node->outputs().size() != 1) continue;
      const auto constant = torch::jit::toIValue(node->output());
      if (!constant) continue;
      if (constant->isTensor()) add(constant->toTensor());
      if (constant->isTensorList()) {
        for (const at::Tensor& tensor : constant->toTensorVector()) add(tensor);
      }
    }
    for (const auto& [key, weights] : packed_) bytes += weights->bytes();
    for (const at::Tensor& bias : biases_) add(bias);
    return bytes;
  }

 private:
  /// Packs a weight once, whoever uses it. None: it can't be, or it does not pay.
  SharedWeights pack(const at::Tensor& weight, bool transposed) {
    if (!is_plain(weight, 2) || weight.numel() < kLeastInt8Weights) return nullptr;
    const auto outputs = weight.size(transposed ? 1 : 0), inputs = weight.size(transposed ? 0 : 1);
    if (inputs < kLeastInt8Inputs) return nullptr;
    const std::pair key(weight.unsafeGetTensorImpl(), transposed);
    if (const auto known = packed_.find(key); known != packed_.end()) return known->second;
    const at::Tensor plain = weight.contiguous();
    auto packed = kernels::Int8Weights::pack(
        {plain.data_ptr<float>(), static_cast<std::size_t>(plain.numel())}, static_cast<std::size_t>(outputs),
        static_cast<std::size_t>(inputs), transposed);
    if (!packed) return nullptr;
    kept_.push_back(weight);  // its address is the key
    return packed_.emplace(key, std::make_shared<const kernels::Int8Weights>(*std::move(packed)))
        .first->second;
  }

  /// ReLU and GELU that are the only use of a layer.
  void take_activations_in() {
    std::vector<Node*> nodes;
    list_nodes(graph_.block(), nodes);
    for (Node* node : nodes) {
      const std::string kind = node->kind().toQualString();
      const bool is_relu = kind == "aten::relu" || kind == "aten::relu_";
      if (!is_relu && (kind != "aten::gelu" || constant_of<std::string>(node->input(1)) != "none")) continue;
      const auto layer = linear_of(*node->input(0)->node());
      if (!layer || node->input(0)->uses().size() != 1) continue;
      if (layer->activation != Int8Linear::Activation::none) continue;
      layer->activation = is_relu ? Int8Linear::Activation::relu : Int8Linear::Activation::gelu;
      node->output()->replaceAllUsesWith(node->input(0));
      node->destroy();
    }
  }

  void replace(Node& old, Node* fresh) {
    fresh->insertBefore(&old);
    for (std::size_t i = 0; i < old.outputs().size(); ++i) {
      fresh->output(i)->setType(c10::TensorType::get());
      old.output(i)->replaceAllUsesWith(fresh->output(i));
    }
    old.destroy();
  }

  void put_linear(Node& node, Value* input, Value* weight, bool transposed, std::optional<at::Tensor> bias) {
    const auto constant = constant_tensor(weight);
    if (!constant) return;
    if (bias && (!is_plain(*bias, 1) || bias->size(0) != constant->size(transposed ? 1 : 0))) return;
    auto packed = pack(*constant, transposed);
    if (!packed) return;
    auto layer = c10::make_intrusive<Int8Linear>();
    layer->weights = std::move(packed);
    if (bias) biases_.push_back(*(layer->bias = bias->contiguous()));
    replace(node, create_linear(graph_, std::move(layer), input));
    ++linear_layers;
  }

  void quantize_linear(Node& node) {
    std::optional<at::Tensor> bias;
    if (!node.input(2)->mustBeNone()) {
      bias = constant_tensor(node.input(2));
      if (!bias) return;
    }
    put_linear(node, node.input(0), node.input(1), false, bias);
  }

  void quantize_addmm(Node& node) {
    const auto bias = constant_tensor(node.input(0));
    if (!bias || !is_one(node.input(3)) || !is_one(node.input(4))) return;
    put_linear(node, node.input(1), node.input(2), true, bias);
  }

  /// `lstm(input, states, …)`, or `lstm(data, sizes, states, …)` of packed sequences.
  void quantize_lstm(Node& node) {
    const bool is_packed = !node.input(1)->type()->isSubtypeOf(*c10::ListType::ofTensors());
    const std::size_t at = is_packed ? 3 : 2;
    const auto parameters = constant_tensors(node.input(at));
    const auto has_biases = constant_of<bool>(node.input(at + 1));
    const auto layers = constant_of<std::int64_t>(node.input(at + 2));
    const auto training = constant_of<bool>(node.input(at + 4));
    const auto both_ways = constant_of<bool>(node.input(at + 5));
    const auto batch_first = is_packed ? std::optional(false) : constant_of<bool>(node.input(at + 6));
    if (!parameters || !has_biases || !layers || !training || *training || !both_ways || !batch_first) return;
    const std::size_t each = *has_biases ? 4 : 2, directions = *both_ways ? 2 : 1;
    // More are there when the states are projected to another size.
    if (parameters->size() != static_cast<std::size_t>(*layers) * directions * each) return;
    auto layer = c10::make_intrusive<Int8Lstm>();
    layer->is_batch_first = *batch_first;
    std::vector<at::Tensor> biases;
    for (std::size_t i = 0; i < parameters->size(); i += each) {
      Int8Lstm::Direction direction{pack((*parameters)[i], false), pack((*parameters)[i + 1], false), {}, {}};
      if (!direction.inputs || !direction.recurrent) return;
      if (direction.recurrent->outputs() != 4 * direction.recurrent->inputs() ||
          direction.inputs->outputs() != direction.recurrent->outputs())
        return;
      if (*has_biases) {
        for (std::size_t b = 2; b < 4; ++b) {
          const at::Tensor& bias = (*parameters)[i + b];
          if (!is_plain(bias, 1) || bias.size(0) != (*parameters)[i].size(0)) return;
          biases.push_back(bias.contiguous());
          (b == 2 ? direction.inputs_bias : direction.recurrent_bias) = biases.back();
        }
      }
      if (i / each % directions == 0) layer->layers.emplace_back();
      layer->layers.back().push_back(std::move(direction));
    }
    if (layer->layers.empty()) return;
    biases_.insert(biases_.end(), biases.begin(), biases.end());
    replace(node, is_packed ? create_packed_lstm(graph_, std::move(layer), node.input(0), node.input(1),
                                                 node.input(2))
                            : create_lstm(graph_, std::move(layer), node.input(0), node.input(1)));
    ++lstm_layers;
  }

  Graph& graph_;
  std::map<std::pair<const void*, bool>, SharedWeights> packed_;
  std::vector<at::Tensor> kept_, biases_;
};

}  // namespace

Result<Int8Module> to_int8(const torch::jit::Module& module) {
  return train::guarded(
      "quantize: int8: the model can't be prepared for it", ErrorCode::invalid_argument,
      [&]() -> Result<Int8Module> {
        Int8Module made;
        made.module = torch::jit::freeze(module, {}, /*optimize_numerics=*/false);
        const auto graph = torch::jit::toGraphFunction(made.module.get_method("forward").function()).graph();
        Quantizer quantizer(*graph);
        made.bytes_before = quantizer.count_bytes();
        unfold_encoder_layers(graph, false);
        quantizer.run();
        made.bytes_after = quantizer.count_bytes();
        made.linear_layers = quantizer.linear_layers;
        made.lstm_layers = quantizer.lstm_layers;
        if (made.linear_layers + made.lstm_layers == 0) {
          return fail(ErrorCode::invalid_argument,
                      "quantize: int8: the model has no layer that this could be done to", kNoLayerHint);
        }
        return made;
      });
}

}  // namespace ds::infer
