#include <fmt/format.h>

#include <cmath>

#include "actors/train/models/layers.hpp"
#include "actors/train/models/settings.hpp"
#include "actors/train/models/zoo.hpp"

namespace ds::train {
namespace {

struct TransformerSizes {
  std::int64_t length = 0, width = 0, heads = 0, feed_forward = 0;
  double dropout = 0;
};

/// Padding tokens get no attention. A row of padding alone attends to everything, evenly, and is not pooled.
void add_attention(ScriptText& text, const std::string& layer, const TransformerSizes& sizes) {
  const double bound = std::sqrt(6.0 / static_cast<double>(4 * sizes.width));  // Xavier's, as PyTorch does it
  text.parameters.push_back(
      {layer + ".in_proj_weight", {3 * sizes.width, sizes.width}, Initial::uniform(bound)});
  text.parameters.push_back({layer + ".in_proj_bias", {3 * sizes.width}, Initial::constant(0)});
  text.source += fmt::format(
      "    parts = torch.linear(x, {}, {}).reshape([-1, {}, 3, {}, {}]).permute([2, 0, 3, 1, 4])\n"
      "    query, key, value = torch.unbind(parts)\n"
      "    attention = torch.matmul(query * {}, key.transpose(-2, -1))\n"
      "    attention = torch.softmax(attention.to(6).masked_fill_(absent, -1e30), -1)\n",
      member(layer + ".in_proj_weight"), member(layer + ".in_proj_bias"), sizes.length, sizes.heads,
      sizes.width / sizes.heads,
      1 / std::sqrt(static_cast<double>(sizes.width) / static_cast<double>(sizes.heads)));
  text.source += dropout_line("attention", sizes.dropout);
  text.source += fmt::format("    y = torch.matmul(attention, value).transpose(1, 2).reshape([-1, {}, {}])\n",
                             sizes.length, sizes.width);
  text.source +=
      fmt::format("    y = {}\n", add_linear(text, layer + ".out_proj", sizes.width, sizes.width, "y"));
  text.parameters.back().initial = Initial::constant(0);  // of its bias
}

void add_encoder_layer(ScriptText& text, const std::string& layer, const TransformerSizes& sizes) {
  add_attention(text, layer + ".self_attn", sizes);
  text.source += dropout_line("y", sizes.dropout);
  text.source += fmt::format("    x = {}\n", add_layer_norm(text, layer + ".norm1", sizes.width, "x + y"));
  text.source += fmt::format("    y = torch.gelu({})\n",
                             add_linear(text, layer + ".linear1", sizes.width, sizes.feed_forward, "x"));
  text.source += dropout_line("y", sizes.dropout);
  text.source +=
      fmt::format("    y = {}\n", add_linear(text, layer + ".linear2", sizes.feed_forward, sizes.width, "y"));
  text.source += dropout_line("y", sizes.dropout);
  text.source += fmt::format("    x = {}\n", add_layer_norm(text, layer + ".norm2", sizes.width, "x + y"));
}

}  // namespace

Result<ScriptText> make_transformer(const ModelRequest& request) {
  const Result<data::FieldShape> input = token_input(request);
  if (!input) return tl::unexpected(input.error());
  const Result<std::vector<std::int64_t>> output = output_shape(request);
  if (!output) return tl::unexpected(output.error());
  Settings settings(request.model);
  TransformerSizes sizes;
  sizes.length = input->shape[0];
  sizes.width = settings.whole("width", 128);
  sizes.heads = settings.whole("heads", 4);
  sizes.feed_forward = settings.whole("feed_forward", 4 * sizes.width);
  sizes.dropout = settings.probability("dropout", 0.1);
  const std::int64_t layers = settings.whole("layers", 2, 1, 256);
  const bool first_token = settings.flag("first_token", false);
  if (sizes.width % sizes.heads != 0)
    settings.refuse("heads", fmt::format("{} heads do not divide the width {}", sizes.heads, sizes.width));
  if (const Result<void> fits = settings.check(); !fits) return tl::unexpected(fits.error());

  ScriptText text;
  text.name = "Transformer";
  text.source =
      "def forward(self, tokens):\n"
      "    absent = torch.eq(tokens, 0).unsqueeze(1).unsqueeze(1)\n";
  text.source += fmt::format("    x = {}", add_embedding(text, "embedding", std::int64_t{request.vocabulary},
                                                         sizes.width, "tokens"));
  text.parameters.push_back({"position.weight", {sizes.length, sizes.width}, Initial::embedding()});
  text.parameters.back().initial.first_row_zero = false;
  text.source += " + self.position.weight\n";
  text.source += fmt::format("    x = {}\n", add_layer_norm(text, "norm", sizes.width, "x"));
  text.source += dropout_line("x", sizes.dropout);
  for (std::int64_t i = 0; i < layers; ++i)
    add_encoder_layer(text, fmt::format("encoder.layers.{}", i), sizes);
  text.source += first_token ? "    x = x[:, 0]\n"
                             : "    present = torch.ne(tokens, 0).unsqueeze(2)\n"
                               "    x = torch.sum(x * present, 1) / torch.sum(present, 1).clamp_min(1)\n";
  text.source +=
      fmt::format("    x = {}\n", add_linear(text, "output", sizes.width, product_of(*output), "x"));
  text.source += return_shaped("x", *output);
  return text;
}

}  // namespace ds::train
