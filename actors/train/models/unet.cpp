#include <fmt/format.h>

#include <algorithm>

#include "actors/train/models/layers.hpp"
#include "actors/train/models/settings.hpp"
#include "actors/train/models/zoo.hpp"

namespace ds::train {
namespace {

/// What comes in and goes out, with the number of spatial dimensions.
struct Ends {
  std::size_t dimensions = 0;
  std::int64_t channels_in = 1, channels_out = 1;
  bool add_channel = false;   ///< the input has none
  bool drop_channel = false;  ///< the output has none
};

/// A mask of classes has the image's spatial dimensions. A mask of numbers has the image's dimensions, and
/// from three on the first is the channels'.
Result<Ends> to_ends(const ModelRequest& request, const data::FieldShape& input) {
  const data::FieldShape* label = find_label(request);
  if (label == nullptr) return fail(ErrorCode::invalid_argument, "data.train: training needs a label");
  const std::vector<std::int64_t>&image = input.shape, &mask = label->shape;
  const auto refuse = [&] {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("model.zoo: unet takes images or volumes and masks of the same size, but {} and {}",
                    to_text(input), to_text(*label)));
  };
  const auto ends_with = [](const auto& longer, const auto& shorter) {
    return longer.size() >= shorter.size() && std::equal(shorter.rbegin(), shorter.rend(), longer.rbegin());
  };
  Ends ends;
  const bool channels_in_mask = request.classes == 0 && mask.size() == image.size() && mask.size() > 2;
  ends.dimensions = channels_in_mask ? mask.size() - 1 : mask.size();
  if (ends.dimensions != 2 && ends.dimensions != 3) return refuse();
  const std::vector<std::int64_t> space(mask.end() - static_cast<std::ptrdiff_t>(ends.dimensions),
                                        mask.end());
  if (!ends_with(image, space) || image.size() > ends.dimensions + 1) return refuse();
  ends.add_channel = image.size() == ends.dimensions;
  ends.channels_in = ends.add_channel ? 1 : image[0];
  if (request.classes > 0 && !wants_one_score(request)) {
    ends.channels_out = std::int64_t{request.classes};
  } else {
    ends.channels_out = channels_in_mask ? mask[0] : 1;
    ends.drop_channel = !channels_in_mask;
  }
  return ends;
}

/// Twice a convolution of three pixels, group norm and ReLU.
void add_level(ScriptText& text, const std::string& level, std::size_t dimensions, std::int64_t inputs,
               std::int64_t outputs) {
  const std::vector<std::int64_t> kernel(dimensions, 3);
  for (int i = 1; i <= 2; ++i, inputs = outputs) {
    const std::string convolution = fmt::format("{}.conv{}", level, i);
    text.source += fmt::format("    x = {}\n",
                               add_convolution(text, convolution, {inputs, outputs, kernel, 1, false}, "x"));
    text.source += fmt::format("    x = torch.relu({})\n",
                               add_group_norm(text, fmt::format("{}.norm{}", level, i), outputs, "x"));
  }
}

}  // namespace

Result<ScriptText> make_unet(const ModelRequest& request) {
  const Result<data::FieldShape> input = number_input(request);
  if (!input) return tl::unexpected(input.error());
  const Result<Ends> ends = to_ends(request, *input);
  if (!ends) return tl::unexpected(ends.error());
  Settings settings(request.model);
  const std::int64_t width = settings.whole("width", 16, 1, 4096);
  const std::int64_t depth = settings.whole("depth", 3, 1, 8);
  const std::int64_t stride = settings.whole("stride", 1, 1, 8);
  if (const Result<void> fits = settings.check(); !fits) return tl::unexpected(fits.error());

  const std::size_t d = ends->dimensions;
  ScriptText text;
  text.name = "UNet";
  text.source = "def forward(self, image):\n    x = image.to(6)\n";
  if (ends->add_channel) text.source += "    x = x.unsqueeze(1)\n";
  std::int64_t inputs = ends->channels_in;
  if (stride > 1) {  // all levels see a coarser image, the output the whole one again
    const std::vector<std::int64_t> kernel(d, 2 * stride - 1);
    text.source += "    whole = x\n";
    text.source += fmt::format("    x = {}\n",
                               add_convolution(text, "coarsen", {inputs, width, kernel, stride, true}, "x"));
    inputs = width;
  }
  for (std::int64_t level = 0; level < depth; ++level) {
    add_level(text, fmt::format("down.{}", level), d, inputs, width << level);
    inputs = width << level;
    text.source += fmt::format("    skip{} = x\n", level);
    text.source += fmt::format("    x = torch.max_pool{}d(x, {}, {}, {}, {}, True)\n", d, repeated(2, d),
                               repeated(2, d), repeated(0, d), repeated(1, d));  // an odd size keeps its last
  }
  add_level(text, "bottom", d, inputs, width << depth);
  for (std::int64_t level = depth; level-- > 0;) {
    const std::int64_t channels = width << level;
    text.source += fmt::format("    x = torch.upsample_nearest{}d(x, skip{}.size()[2:])\n", d, level);
    text.source += fmt::format("    x = torch.cat([skip{}, x], 1)\n", level);
    add_level(text, fmt::format("up.{}", level), d, channels + 2 * channels, channels);
  }
  inputs = width;
  if (stride > 1) {
    text.source += fmt::format("    x = torch.upsample_nearest{}d(x, whole.size()[2:])\n", d);
    text.source += "    x = torch.cat([whole, x], 1)\n";
    inputs += ends->channels_in;
  }
  const std::vector<std::int64_t> kernel(d, stride > 1 ? 3 : 1);
  text.source += fmt::format(
      "    x = {}\n", add_convolution(text, "output", {inputs, ends->channels_out, kernel, 1, true}, "x"));
  text.source += ends->drop_channel ? "    return x.squeeze(1)\n" : "    return x\n";
  return text;
}

}  // namespace ds::train
