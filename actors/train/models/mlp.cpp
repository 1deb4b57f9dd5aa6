#include <fmt/format.h>

#include "actors/train/models/layers.hpp"
#include "actors/train/models/settings.hpp"
#include "actors/train/models/zoo.hpp"

namespace ds::train {

Result<ScriptText> make_mlp(const ModelRequest& request) {
  const Result<data::FieldShape> input = number_input(request);
  if (!input) return tl::unexpected(input.error());
  const Result<std::vector<std::int64_t>> output = output_shape(request);
  if (!output) return tl::unexpected(output.error());
  Settings settings(request.model);
  const std::vector<std::int64_t> hidden = settings.wholes("hidden", {256, 128});
  const double dropout = settings.probability("dropout", 0);
  if (const Result<void> fits = settings.check(); !fits) return tl::unexpected(fits.error());

  ScriptText text;
  text.name = "Mlp";
  std::int64_t width = product_of(input->shape);
  text.source =
      fmt::format("def forward(self, features):\n    x = features.to(6).reshape([-1, {}])\n", width);
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    const std::string layer = fmt::format("hidden.{}", i);
    text.source += fmt::format("    x = torch.relu({})\n", add_linear(text, layer, width, hidden[i], "x"));
    text.source += dropout_line("x", dropout);
    width = hidden[i];
  }
  text.source += fmt::format("    x = {}\n", add_linear(text, "output", width, product_of(*output), "x"));
  text.source += return_shaped("x", *output);
  return text;
}

}  // namespace ds::train
