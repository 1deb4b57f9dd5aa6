#include <fmt/format.h>

#include <algorithm>

#include "actors/train/models/layers.hpp"
#include "actors/train/models/settings.hpp"
#include "actors/train/models/zoo.hpp"

namespace ds::train {
namespace {

constexpr std::int64_t kLargeImage = 64;

/// Two 3x3 convolutions, added to their input; the input goes through a 1x1 convolution where its shape
/// changes.
void add_block(ScriptText& text, const std::string& block, std::int64_t inputs, std::int64_t outputs,
               std::int64_t stride) {
  const auto line = [&](const char* to, const std::string& expression) {
    text.source += fmt::format("    {} = {}\n", to, expression);
  };
  line("y", add_convolution(text, block + ".conv1", {inputs, outputs, {3, 3}, stride, false}, "x"));
  line("y", fmt::format("torch.relu({})", add_batch_norm(text, block + ".bn1", outputs, "y")));
  line("y", add_convolution(text, block + ".conv2", {outputs, outputs, {3, 3}, 1, false}, "y"));
  line("y", add_batch_norm(text, block + ".bn2", outputs, "y"));
  if (inputs != outputs || stride != 1) {
    line("x", add_convolution(text, block + ".downsample.0", {inputs, outputs, {1, 1}, stride, false}, "x"));
    line("x", add_batch_norm(text, block + ".downsample.1", outputs, "x"));
  }
  line("x", "torch.relu(x + y)");
}

}  // namespace

Result<ScriptText> make_resnet(const ModelRequest& request) {
  const Result<data::FieldShape> input = number_input(request);
  if (!input) return tl::unexpected(input.error());
  const Result<std::vector<std::int64_t>> output = output_shape(request);
  if (!output) return tl::unexpected(output.error());
  if (input->shape.size() != 2 && input->shape.size() != 3) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("model.zoo: resnet takes images [height, width] or [channels, height, width], but {}",
                    to_text(*input)));
  }
  Settings settings(request.model);
  const std::vector<std::int64_t> blocks = settings.wholes("blocks", {2, 2, 2, 2}, 1, 64);
  std::int64_t width = settings.whole("width", 64, 1, 4096);
  if (blocks.empty() || blocks.size() > 6) settings.refuse("blocks", "expected one to six stages");
  if (const Result<void> fits = settings.check(); !fits) return tl::unexpected(fits.error());

  const bool grey = input->shape.size() == 2;
  const bool large = std::min(input->shape[input->shape.size() - 2], input->shape.back()) >= kLargeImage;
  ScriptText text;
  text.name = "ResNet";
  text.source = "    x = image.to(6)\n";
  if (grey) text.source += "    x = x.unsqueeze(1)\n";
  const std::int64_t side = large ? 7 : 3, channels = grey ? 1 : input->shape[0];
  text.source +=
      fmt::format("    x = {}\n",
                  add_convolution(text, "conv1", {channels, width, {side, side}, large ? 2 : 1, false}, "x"));
  text.source += fmt::format("    x = torch.relu({})\n", add_batch_norm(text, "bn1", width, "x"));
  if (large) text.source += "    x = torch.max_pool2d(x, [3, 3], [2, 2], [1, 1], [1, 1], False)\n";
  std::int64_t inputs = width;
  for (std::size_t stage = 0; stage < blocks.size(); ++stage, width *= 2) {
    for (std::int64_t i = 0; i < blocks[stage]; ++i) {
      add_block(text, fmt::format("layer{}.{}", stage + 1, i), inputs, width, stage > 0 && i == 0 ? 2 : 1);
      inputs = width;
    }
  }
  text.source += "    x = x.mean([2, 3])\n";
  text.source += fmt::format("    x = {}\n", add_linear(text, "fc", inputs, product_of(*output), "x"));
  text.source =
      "def forward(self, image):\n" + count_batches(text) + text.source + return_shaped("x", *output);
  return text;
}

}  // namespace ds::train
