#include "actors/train/models/layers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <numeric>

namespace ds::train {
namespace {

Initial fan_in(std::int64_t inputs) {
  return Initial::uniform(1 / std::sqrt(static_cast<double>(inputs)));
}

void add_scale_and_shift(ScriptText& text, const std::string& layer, std::int64_t width) {
  text.parameters.push_back({layer + ".weight", {width}, Initial::constant(1)});
  text.parameters.push_back({layer + ".bias", {width}, Initial::constant(0)});
}

}  // namespace

std::string add_linear(ScriptText& text, const std::string& layer, std::int64_t inputs, std::int64_t outputs,
                       const std::string& x) {
  text.parameters.push_back({layer + ".weight", {outputs, inputs}, fan_in(inputs)});
  text.parameters.push_back({layer + ".bias", {outputs}, fan_in(inputs)});
  return fmt::format("torch.linear({}, {}, {})", x, member(layer + ".weight"), member(layer + ".bias"));
}

std::string add_embedding(ScriptText& text, const std::string& layer, std::int64_t rows, std::int64_t width,
                          const std::string& x) {
  text.parameters.push_back({layer + ".weight", {rows, width}, Initial::embedding()});
  return fmt::format("torch.embedding({}, {}, 0, False, False)", member(layer + ".weight"), x);
}

std::string add_convolution(ScriptText& text, const std::string& layer, const Convolution& shape,
                            const std::string& x) {
  std::vector<std::int64_t> weight{shape.outputs, shape.inputs}, padding;
  std::int64_t inputs = shape.inputs;
  for (const std::int64_t length : shape.kernel) {
    weight.push_back(length);
    padding.push_back(length / 2);
    inputs *= length;
  }
  text.parameters.push_back({layer + ".weight", weight, fan_in(inputs)});
  if (shape.bias) text.parameters.push_back({layer + ".bias", {shape.outputs}, fan_in(inputs)});
  const std::size_t dimensions = shape.kernel.size();
  return fmt::format("torch.conv{}d({}, {}, {}, {}, [{}], {}, 1)", dimensions, x, member(layer + ".weight"),
                     shape.bias ? member(layer + ".bias") : "None", repeated(shape.stride, dimensions),
                     fmt::join(padding, ", "), repeated(1, dimensions));
}

std::string add_batch_norm(ScriptText& text, const std::string& layer, std::int64_t channels,
                           const std::string& x) {
  add_scale_and_shift(text, layer, channels);
  text.buffers.push_back({layer + ".running_mean", {channels}, 0});
  text.buffers.push_back({layer + ".running_var", {channels}, 1});
  text.counters.push_back(layer + ".num_batches_tracked");
  return fmt::format("torch.batch_norm({}, {}, {}, {}, {}, self.training, 0.1, 1e-05, False)", x,
                     member(layer + ".weight"), member(layer + ".bias"), member(layer + ".running_mean"),
                     member(layer + ".running_var"));
}

std::string count_batches(const ScriptText& text) {
  std::string lines = "    if self.training:\n";
  for (const std::string& counter : text.counters)
    lines += fmt::format("        {}.add_(1)\n", member(counter));
  return text.counters.empty() ? "" : lines;
}

std::string add_group_norm(ScriptText& text, const std::string& layer, std::int64_t channels,
                           const std::string& x) {
  // In float32 whatever the precision: torch 1.13 has no group norm of bfloat16 with float32 weights.
  add_scale_and_shift(text, layer, channels);
  const std::int64_t groups = std::max<std::int64_t>(1, channels / std::gcd<std::int64_t>(channels, 8));
  return fmt::format("torch.group_norm({}.to(6), {}, {}, {}, 1e-05, False)", x, groups,
                     member(layer + ".weight"), member(layer + ".bias"));
}

std::string add_layer_norm(ScriptText& text, const std::string& layer, std::int64_t width,
                           const std::string& x) {
  add_scale_and_shift(text, layer, width);
  return fmt::format("torch.layer_norm({}, [{}], {}, {}, 1e-05, False)", x, width, member(layer + ".weight"),
                     member(layer + ".bias"));
}

std::string dropout_line(const std::string& x, double probability) {
  if (probability == 0) return "";
  return fmt::format("    {0} = torch.dropout({0}, {1}, self.training)\n", x, probability);
}

std::string return_shaped(const std::string& x, const std::vector<std::int64_t>& shape) {
  if (shape.size() == 1) return fmt::format("    return {}\n", x);
  std::vector<std::int64_t> with_rows{-1};
  with_rows.insert(with_rows.end(), shape.begin(), shape.end());
  return fmt::format("    return {}.reshape([{}])\n", x, fmt::join(with_rows, ", "));
}

std::string repeated(std::int64_t value, std::size_t count) {
  return fmt::format("[{}]", fmt::join(std::vector<std::int64_t>(count, value), ", "));
}

}  // namespace ds::train
