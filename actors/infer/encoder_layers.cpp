#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/infer/encoder_layers.hpp"

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ds::infer {
namespace {

constexpr std::string_view kEncoderLayer = "aten::_transformer_encoder_layer_fwd";
constexpr std::string_view kNested = "aten::_nested_tensor_from_mask";
constexpr std::size_t kArguments = 20;

const auto kAttention = c10::Symbol::fromQualString("aten::scaled_dot_product_attention");

/// The part of `attend` that is one operator in newer versions of torch.
constexpr const char* kScores = R"(
def weigh(query: Tensor, key: Tensor, value: Tensor, absent: Optional[Tensor], width: int) -> Tensor:
    scores = torch.matmul(query * (width ** -0.5), key.transpose(-2, -1))
    if absent is not None:
        scores = scores.masked_fill(absent, float("-inf"))
    return torch.matmul(torch.softmax(scores, -1), value)
)";
constexpr const char* kFused = R"(
def weigh(query: Tensor, key: Tensor, value: Tensor, absent: Optional[Tensor], width: int) -> Tensor:
    present: Optional[Tensor] = None
    if absent is not None:
        present = torch.logical_not(absent)
    return torch.scaled_dot_product_attention(query, key, value, present)
)";

/// What torch's operator computes of plain tensors.
constexpr const char* kSteps = R"(
def attend(x: Tensor, width: int, heads: int, qkv_weight: Tensor, qkv_bias: Tensor, out_weight: Tensor,
           out_bias: Tensor, mask: Optional[Tensor], mask_type: Optional[int]) -> Tensor:
    rows = x.size(0)
    length = x.size(1)
    parts = torch.linear(x, qkv_weight, qkv_bias).reshape([rows, length, 3, heads, width // heads])
    query, key, value = torch.unbind(parts.permute([2, 0, 3, 1, 4]))
    absent: Optional[Tensor] = None
    if mask is not None:
        absent = mask.to(11)  # bool
        if mask_type is not None and mask_type == 1:
            absent = absent.view([rows, 1, 1, length])
    y = weigh(query, key, value, absent, width // heads).transpose(1, 2).reshape([rows, length, width])
    return torch.linear(y, out_weight, out_bias)

def feed(x: Tensor, use_gelu: bool, weight_1: Tensor, bias_1: Tensor, weight_2: Tensor, bias_2: Tensor) -> Tensor:
    y = torch.linear(x, weight_1, bias_1)
    if use_gelu:
        y = torch.gelu(y)
    else:
        y = torch.relu(y)
    return torch.linear(y, weight_2, bias_2)

def layer(x: Tensor, width: int, heads: int, qkv_weight: Tensor, qkv_bias: Tensor, out_weight: Tensor,
          out_bias: Tensor, use_gelu: bool, norm_first: bool, eps: float, norm_weight_1: Tensor,
          norm_bias_1: Tensor, norm_weight_2: Tensor, norm_bias_2: Tensor, weight_1: Tensor, bias_1: Tensor,
          weight_2: Tensor, bias_2: Tensor, mask: Optional[Tensor], mask_type: Optional[int]) -> Tensor:
    if norm_first:
        y = torch.layer_norm(x, [width], norm_weight_1, norm_bias_1, eps)
        x = x + attend(y, width, heads, qkv_weight, qkv_bias, out_weight, out_bias, mask, mask_type)
        y = torch.layer_norm(x, [width], norm_weight_2, norm_bias_2, eps)
        x = x + feed(y, use_gelu, weight_1, bias_1, weight_2, bias_2)
    else:
        y = attend(x, width, heads, qkv_weight, qkv_bias, out_weight, out_bias, mask, mask_type)
        x = torch.layer_norm(x + y, [width], norm_weight_1, norm_bias_1, eps)
        y = feed(x, use_gelu, weight_1, bias_1, weight_2, bias_2)
        x = torch.layer_norm(x + y, [width], norm_weight_2, norm_bias_2, eps)
    return x
)";

void find_nodes(torch::jit::Block* block, std::string_view kind, std::vector<torch::jit::Node*>& found) {
  for (torch::jit::Node* node : block->nodes()) {
    if (node->kind().toQualString() == kind) found.push_back(node);
    for (torch::jit::Block* inner : node->blocks()) find_nodes(inner, kind, found);
  }
}

}  // namespace

void unfold_encoder_layers(const std::shared_ptr<torch::jit::Graph>& graph, bool fuses_attention) {
  std::vector<torch::jit::Node*> layers, nested;
  find_nodes(graph->block(), kEncoderLayer, layers);
  find_nodes(graph->block(), kNested, nested);
  if (layers.empty() || !nested.empty()) return;
  torch::jit::CompilationUnit unit;
  const bool has_fused = !torch::jit::getAllOperatorsFor(kAttention).empty();
  const auto source = std::string(fuses_attention && has_fused ? kFused : kScores) + kSteps;
  unit.define({}, source, torch::jit::nativeResolver(), nullptr);
  const auto steps = torch::jit::toGraphFunction(unit.get_function("layer")).graph()->copy();
  torch::jit::Inline(*steps);
  for (torch::jit::Node* layer : layers) {
    if (layer->inputs().size() != kArguments) continue;  // another torch's
    const torch::jit::WithInsertPoint here(layer);
    const auto made = torch::jit::insertGraph(*graph, *steps, layer->inputs());
    made.front()->setType(layer->output()->type());
    layer->output()->replaceAllUsesWith(made.front());
    layer->destroy();
  }
  auto whole = graph;
  torch::jit::ConstantPropagation(whole);  // leaves one of each two branches
}

}  // namespace ds::infer
