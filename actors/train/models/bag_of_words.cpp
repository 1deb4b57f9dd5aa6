#include "actors/train/models/layers.hpp"
#include "actors/train/models/settings.hpp"
#include "actors/train/models/zoo.hpp"

namespace ds::train {
namespace {

/// Divided by the root of their number, the sums of short and long rows of unlike words are equally long; a
/// mean would make those of long rows short. Padding words are masked.
constexpr const char* kBegin = R"(def forward(self, words):
    embedded = torch.embedding(self.embedding.weight, words, 0, False, False)
    present = torch.ne(words, 0)
    sums = torch.sum(embedded * present.unsqueeze(2), [1])
    features = sums / torch.sqrt(torch.clamp(torch.sum(present, [1], True), 1))
)";

}  // namespace

Result<ScriptText> make_bag_of_words(const ModelRequest& request) {
  const Result<data::FieldShape> input = token_input(request);
  if (!input) return tl::unexpected(input.error());
  const Result<std::vector<std::int64_t>> output = output_shape(request);
  if (!output) return tl::unexpected(output.error());
  Settings settings(request.model);
  const std::int64_t width = settings.whole("width", 64);
  const double dropout = settings.probability("dropout", 0);
  if (const Result<void> fits = settings.check(); !fits) return tl::unexpected(fits.error());

  // Small, so that a word that was hardly ever seen says hardly anything.
  Initial words = Initial::uniform(0.1);
  words.first_row_zero = true;
  ScriptText text;
  text.name = "BagOfWords";
  text.parameters = {{"embedding.weight", {std::int64_t{request.vocabulary}, width}, words}};
  text.source = kBegin;
  text.source += dropout_line("features", dropout);
  text.source += return_shaped(add_linear(text, "output", width, product_of(*output), "features"), *output);
  return text;
}

}  // namespace ds::train
