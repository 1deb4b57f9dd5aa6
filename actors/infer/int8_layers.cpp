#include "actors/infer/int8_layers.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/jit/runtime/custom_operator.h>

#include <algorithm>
#include <span>
#include <utility>

#include "kernels/gelu.hpp"
#include "kernels/int8_linear.hpp"
#include "kernels/lstm_cell.hpp"

namespace ds::infer {
namespace {

using torch::jit::Stack;

const auto kLinear = c10::Symbol::fromQualString("ds_int8::linear");
const auto kLstm = c10::Symbol::fromQualString("ds_int8::lstm");
const auto kPackedLstm = c10::Symbol::fromQualString("ds_int8::lstm_packed");
const auto kLayerAttribute = c10::Symbol::attr("layer");

constexpr std::int64_t kPanelsAThread = 8;

std::span<const float> floats_of(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}
std::span<const float> floats_of(const std::optional<at::Tensor>& tensor) {
  return tensor ? floats_of(*tensor) : std::span<const float>();
}

void activate(Int8Linear::Activation activation, float* values, std::size_t count) {
  if (activation == Int8Linear::Activation::gelu) return kernels::gelu(values, count);
  if (activation == Int8Linear::Activation::none) return;
  for (std::size_t i = 0; i < count; ++i) values[i] = values[i] < 0 ? 0 : values[i];
}

/// out = rows times the weights, by as many threads as torch has.
void multiply(const kernels::Int8Weights& weights, const kernels::Int8Rows& rows,
              const std::optional<at::Tensor>& bias, Int8Linear::Activation activation,
              const at::Tensor& out) {
  auto* const to = out.data_ptr<float>();
  const auto stride = weights.outputs();
  at::parallel_for(0, static_cast<std::int64_t>(weights.panels()), kPanelsAThread,
                   [&](std::int64_t from, std::int64_t before) {
                     const auto first = static_cast<std::size_t>(from),
                                last = static_cast<std::size_t>(before);
                     kernels::int8_linear(weights, rows, floats_of(bias), to, stride, first, last);
                     if (activation == Int8Linear::Activation::none) return;
                     const std::size_t begin = first * kernels::kInt8Panel;
                     const std::size_t end = std::min(last * kernels::kInt8Panel, stride);
                     for (std::size_t row = 0; row < rows.rows(); ++row)
                       activate(activation, to + row * stride + begin, end - begin);
                   });
}

at::Tensor to_floats(const at::Tensor& tensor) {
  return tensor.to(at::kFloat).contiguous();
}

/// [rows, inputs] to [rows, outputs].
at::Tensor apply(const kernels::Int8Weights& weights, const std::optional<at::Tensor>& bias,
                 const at::Tensor& input, std::int64_t rows,
                 Int8Linear::Activation activation = Int8Linear::Activation::none) {
  thread_local kernels::Int8Rows quantized;  // its memory stays
  quantized.quantize(floats_of(input), static_cast<std::size_t>(rows), weights.inputs());
  at::Tensor out = at::empty({rows, static_cast<std::int64_t>(weights.outputs())}, at::kFloat);
  multiply(weights, quantized, bias, activation, out);
  return out;
}

at::Tensor run_linear(const Int8Linear& layer, const at::Tensor& given) {
  const auto inputs = static_cast<std::int64_t>(layer.weights->inputs());
  TORCH_CHECK(given.dim() > 0 && given.size(-1) == inputs, "a linear layer of ", inputs,
              " inputs got a tensor of shape ", given.sizes());
  const at::Tensor input = to_floats(given);
  auto shape = given.sizes().vec();
  shape.back() = static_cast<std::int64_t>(layer.weights->outputs());
  return apply(*layer.weights, layer.bias, input, input.numel() / inputs, layer.activation)
      .view(shape)
      .to(given.scalar_type());
}

struct LstmResult {
  at::Tensor output, hidden, cell;  ///< output: [rows of all steps, directions x width]
};

/// `input`: the steps' rows one after another; `steps`: how many each step has, never rising.
LstmResult run_lstm(const Int8Lstm& layer, const at::Tensor& given, std::span<const std::int64_t> steps,
                    const std::vector<at::Tensor>& states) {
  const auto directions = layer.layers.front().size();
  const auto width = static_cast<std::int64_t>(layer.layers.front().front().recurrent->inputs());
  const auto count = static_cast<std::int64_t>(layer.layers.size() * directions);
  const std::int64_t rows = steps.front();
  TORCH_CHECK(states.size() == 2, "an LSTM has two states");
  for (const at::Tensor& state : states) {
    TORCH_CHECK(state.dim() == 3 && state.size(0) == count && state.size(1) == rows && state.size(2) == width,
                "an LSTM's states should have the shape ", count, " x ", rows, " x ", width, ", not ",
                state.sizes());
  }
  const auto inputs = static_cast<std::int64_t>(layer.layers.front().front().inputs->inputs());
  TORCH_CHECK(given.size(-1) == inputs, "an LSTM of ", inputs, " inputs got ", given.size(-1));
  LstmResult result{to_floats(given), to_floats(states[0]).clone(), to_floats(states[1]).clone()};
  const std::int64_t all = result.output.size(0);
  std::int64_t state = 0;
  for (const auto& own : layer.layers) {
    at::Tensor output = at::empty({all, static_cast<std::int64_t>(directions) * width}, at::kFloat);
    for (std::size_t direction = 0; direction < directions; ++direction, ++state) {
      const at::Tensor gates = apply(*own[direction].inputs, own[direction].inputs_bias, result.output, all);
      kernels::Int8LstmRun run;
      run.recurrent = own[direction].recurrent.get();
      run.recurrent_bias = floats_of(own[direction].recurrent_bias);
      run.steps = steps;
      run.gates = gates.data_ptr<float>();
      run.is_reverse = direction == 1;
      run.hidden = result.hidden.data_ptr<float>() + state * rows * width;
      run.cell = result.cell.data_ptr<float>() + state * rows * width;
      run.out = output.data_ptr<float>() + static_cast<std::int64_t>(direction) * width;
      run.out_stride = directions * static_cast<std::size_t>(width);
      kernels::run_int8_lstm(run);
    }
    result.output = std::move(output);
  }
  return result;
}

void put(Stack& stack, LstmResult result, at::ScalarType type) {
  torch::jit::push(stack, result.output.to(type), result.hidden.to(type), result.cell.to(type));
}

template <class Layer>
c10::intrusive_ptr<Layer> layer_of(const torch::jit::Node* node) {
  return c10::static_intrusive_pointer_cast<Layer>(node->ival(kLayerAttribute).toCapsule());
}

/// An operator of any number of arguments may find the number on the stack behind them; it depends on how
/// torch was told of it. None of ours takes numbers.
void drop_count(Stack& stack) {
  if (!stack.empty() && stack.back().isInt()) stack.pop_back();
}

torch::jit::Operation make_linear(const torch::jit::Node* node) {
  return [layer = layer_of<Int8Linear>(node)](Stack& stack) {
    drop_count(stack);
    const at::Tensor input = torch::jit::pop(stack).toTensor();
    torch::jit::push(stack, run_linear(*layer, input));
  };
}

torch::jit::Operation make_lstm(const torch::jit::Node* node) {
  return [layer = layer_of<Int8Lstm>(node)](Stack& stack) {
    drop_count(stack);
    const auto states = torch::jit::pop(stack).toTensorVector();
    at::Tensor input = torch::jit::pop(stack).toTensor();
    TORCH_CHECK(input.dim() == 3 && input.numel() > 0,
                "an LSTM's input has three dimensions, none of them 0");
    const auto type = input.scalar_type();
    if (layer->is_batch_first) input = input.transpose(0, 1);
    const std::int64_t length = input.size(0), rows = input.size(1);
    const std::vector<std::int64_t> steps(static_cast<std::size_t>(length), rows);
    LstmResult result = run_lstm(*layer, input.reshape({length * rows, input.size(2)}), steps, states);
    result.output = result.output.view({length, rows, -1});
    if (layer->is_batch_first) result.output = result.output.transpose(0, 1);
    put(stack, std::move(result), type);
  };
}

torch::jit::Operation make_packed_lstm(const torch::jit::Node* node) {
  return [layer = layer_of<Int8Lstm>(node)](Stack& stack) {
    drop_count(stack);
    const auto states = torch::jit::pop(stack).toTensorVector();
    const at::Tensor sizes = torch::jit::pop(stack).toTensor().to(at::kLong).contiguous();
    const at::Tensor data = torch::jit::pop(stack).toTensor();
    TORCH_CHECK(data.dim() == 2 && sizes.dim() == 1 && sizes.numel() > 0, "not packed sequences");
    const std::span<const std::int64_t> steps(sizes.data_ptr<std::int64_t>(),
                                              static_cast<std::size_t>(sizes.numel()));
    std::int64_t rows = 0, least = steps.front();
    for (const std::int64_t step : steps) {
      TORCH_CHECK(step > 0 && step <= least, "packed sequences must not grow");
      least = step;
      rows += step;
    }
    TORCH_CHECK(rows == data.size(0), "packed sequences of ", rows, " rows have ", data.size(0));
    put(stack, run_lstm(*layer, data, steps, states), data.scalar_type());
  };
}

/// As if they had effects, so that no pass merges two nodes that differ in their layers only.
constexpr auto kAliases = c10::AliasAnalysisKind::CONSERVATIVE;

/// Of any number of arguments: else torch's interpreter makes one operation for all nodes with the same
/// operator and as many arguments, whatever their attributes.
const torch::jit::RegisterOperators kInt8Operators({
    torch::jit::Operator("ds_int8::linear(...) -> Tensor", make_linear, kAliases),
    torch::jit::Operator("ds_int8::lstm(...) -> (Tensor, Tensor, Tensor)", make_lstm, kAliases),
    torch::jit::Operator("ds_int8::lstm_packed(...) -> (Tensor, Tensor, Tensor)", make_packed_lstm, kAliases),
});

torch::jit::Node* create(torch::jit::Graph& graph, c10::Symbol kind,
                         c10::intrusive_ptr<torch::CustomClassHolder> layer,
                         at::ArrayRef<torch::jit::Value*> inputs, std::size_t outputs) {
  torch::jit::Node* node = graph.create(kind, inputs, outputs);
  node->ival_(kLayerAttribute, c10::IValue::make_capsule(std::move(layer)));
  return node;
}

}  // namespace

c10::intrusive_ptr<Int8Linear> linear_of(const torch::jit::Node& node) {
  return node.kind() == kLinear ? layer_of<Int8Linear>(&node) : c10::intrusive_ptr<Int8Linear>();
}

torch::jit::Node* create_linear(torch::jit::Graph& graph, c10::intrusive_ptr<Int8Linear> layer,
                                torch::jit::Value* input) {
  return create(graph, kLinear, std::move(layer), {input}, 1);
}
torch::jit::Node* create_lstm(torch::jit::Graph& graph, c10::intrusive_ptr<Int8Lstm> layer,
                              torch::jit::Value* input, torch::jit::Value* states) {
  return create(graph, kLstm, std::move(layer), {input, states}, 3);
}
torch::jit::Node* create_packed_lstm(torch::jit::Graph& graph, c10::intrusive_ptr<Int8Lstm> layer,
                                     torch::jit::Value* data, torch::jit::Value* sizes,
                                     torch::jit::Value* states) {
  return create(graph, kPackedLstm, std::move(layer), {data, sizes, states}, 3);
}

}  // namespace ds::infer
