#include <fmt/format.h>

#include <cmath>

#include "actors/train/models/layers.hpp"
#include "actors/train/models/settings.hpp"
#include "actors/train/models/zoo.hpp"

namespace ds::train {
namespace {

struct LstmSizes {
  std::int64_t length = 0, embedding = 0, width = 0, layers = 0;
  bool both_ways = false, last = false;
  double dropout = 0;
};

/// torch.nn.LSTM's parameters by its names; gives the TorchScript list of them.
std::string add_lstm_parameters(ScriptText& text, const LstmSizes& sizes) {
  const Initial initial = Initial::uniform(1 / std::sqrt(static_cast<double>(sizes.width)));
  std::string list;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    text.parameters.push_back({"lstm." + name, std::move(shape), initial});
    list += (list.empty() ? "" : ", ") + member("lstm." + name);
  };
  const std::int64_t directions = sizes.both_ways ? 2 : 1;
  for (std::int64_t layer = 0; layer < sizes.layers; ++layer) {
    const std::int64_t inputs = layer == 0 ? sizes.embedding : directions * sizes.width;
    for (std::int64_t direction = 0; direction < directions; ++direction) {
      const std::string end = fmt::format("l{}{}", layer, direction == 1 ? "_reverse" : "");
      add("weight_ih_" + end, {4 * sizes.width, inputs});
      add("weight_hh_" + end, {4 * sizes.width, sizes.width});
      add("bias_ih_" + end, {4 * sizes.width});
      add("bias_hh_" + end, {4 * sizes.width});
    }
  }
  return list;
}

/// Rows are run sorted by falling length and packed, as torch's pack_padded_sequence does it, so that nothing
/// after a row's last token is seen in either direction. A row without tokens is one padding token long.
void add_lstm(ScriptText& text, const LstmSizes& sizes) {
  const std::string weights = add_lstm_parameters(text, sizes);
  const std::int64_t states = sizes.layers * (sizes.both_ways ? 2 : 1);
  text.source += fmt::format(
      "    places = torch.arange(1, {} + 1)\n"
      "    lengths = torch.max(torch.ne(tokens, 0) * places, 1)[0].clamp_min(1)\n"
      "    lengths, order = torch.sort(lengths, stable=True, dim=0, descending=True)\n"
      "    packed, sizes = torch._pack_padded_sequence(x.index_select(0, order), lengths, True)\n"
      "    zero = torch.zeros([{}, tokens.size(0), {}], dtype=packed.dtype)\n"
      "    packed, hidden, cell = torch.lstm(packed, sizes, [zero, zero], [{}], True, {}, {:.17f}, "
      "self.training, {})\n"
      "    back = torch.argsort(order)\n",
      sizes.length, states, sizes.width, weights, sizes.layers, sizes.layers > 1 ? sizes.dropout : 0.0,
      sizes.both_ways ? "True" : "False");
  if (sizes.last) {
    text.source += sizes.both_ways ? "    x = torch.cat([hidden[-2], hidden[-1]], 1).index_select(0, back)\n"
                                   : "    x = hidden[-1].index_select(0, back)\n";
    return;
  }
  text.source += fmt::format(
      "    padded, ignored = torch._pad_packed_sequence(packed, sizes, True, 0.0, {})\n"
      "    present = torch.ne(tokens, 0).unsqueeze(2)\n"
      "    x = padded.index_select(0, back) * present\n"
      "    x = torch.sum(x, 1) / torch.sum(present, 1).clamp_min(1)\n",
      sizes.length);
}

}  // namespace

Result<ScriptText> make_lstm(const ModelRequest& request) {
  const Result<data::FieldShape> input = token_input(request);
  if (!input) return tl::unexpected(input.error());
  const Result<std::vector<std::int64_t>> output = output_shape(request);
  if (!output) return tl::unexpected(output.error());
  Settings settings(request.model);
  LstmSizes sizes;
  sizes.length = input->shape[0];
  sizes.embedding = settings.whole("embedding", 128);
  sizes.width = settings.whole("width", 128);
  sizes.layers = settings.whole("layers", 1, 1, 64);
  sizes.both_ways = settings.flag("bidirectional", false);
  sizes.last = settings.flag("last", false);
  sizes.dropout = settings.probability("dropout", 0);
  if (const Result<void> fits = settings.check(); !fits) return tl::unexpected(fits.error());

  ScriptText text;
  text.name = "Lstm";
  text.source = "def forward(self, tokens):\n";
  text.source += fmt::format(
      "    x = {}\n",
      add_embedding(text, "embedding", std::int64_t{request.vocabulary}, sizes.embedding, "tokens"));
  text.source += dropout_line("x", sizes.dropout);
  add_lstm(text, sizes);
  text.source += dropout_line("x", sizes.dropout);
  text.source += fmt::format(
      "    x = {}\n",
      add_linear(text, "output", (sizes.both_ways ? 2 : 1) * sizes.width, product_of(*output), "x"));
  text.source += return_shaped("x", *output);
  return text;
}

}  // namespace ds::train
