#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler {
namespace {

constexpr WholeRange kPixels{1, 65'536};
constexpr CountRange kTwoOrThree{2, 3};

template <class T>
bool is_a(const TransformSpec& transform) {
  return std::holds_alternative<T>(transform.what);
}

void read_size(const Section& section, std::vector<std::uint32_t>& size) {
  section.require("size", "such as [28, 28], height first");
  std::vector<std::uint64_t> wide;
  section.read_wholes("size", wide, kPixels, kTwoOrThree);
  size.assign(wide.begin(), wide.end());
}

void read_settings(const Section& section, Tokenize& tokenize) {
  section.read_choice("method", tokenize.method, keys::kTokenizers);
  section.read("vocabulary", tokenize.vocabulary, {3, 10'000'000});
  section.read("ngrams", tokenize.ngrams, {1, Tokenize::kMostNgrams});
  if (tokenize.ngrams > 1 && tokenize.method != "word") {
    section.fail("ngrams", "given with method: " + tokenize.method,
                 "n-grams are made of whole words: leave out one of the two");
  }
}

void read_settings(const Section& section, PadSequences& pad) {
  section.read("length", pad.length, {3, 65'536});
}

void read_settings(const Section& section, Normalize& normalize) {
  section.read("per_sample", normalize.per_sample);
  if (normalize.per_sample) {
    for (const char* key : {"mean", "deviation"}) {
      if (section.has(key)) section.fail(key, "given beside per_sample", "keep one of the two");
    }
    return;
  }
  const char* example = "such as {mean: 0.13, deviation: 0.31}, or normalize: per_sample";
  section.require("mean", example);
  section.require("deviation", example);
  section.read_reals("mean", normalize.mean, kAnyReal, {1, 1024});
  section.read_reals("deviation", normalize.deviation, kAboveZero, {1, 1024});
  const std::size_t means = normalize.mean.size(), deviations = normalize.deviation.size();
  if (means != 0 && deviations != 0 && means != deviations) {
    section.fail("deviation", "expected as many numbers as mean has (" + std::to_string(means) + "), got " +
                                  std::to_string(deviations));
  }
}

void read_settings(const Section& section, OneHot& one_hot) {
  section.read("classes", one_hot.classes, {2, 1'000'000});
}

void read_settings(const Section& section, Resize& resize) {
  read_size(section, resize.size);
}

void read_settings(const Section& section, Crop& crop) {
  read_size(section, crop.size);
  section.read("padding", crop.padding, {0, 4096});
  section.read("random", crop.random);
}

void read_settings(const Section& section, Flip& flip) {
  section.read_choices("axes", flip.axes, keys::kAxes);
  section.read("probability", flip.probability, kUpToOne);
}

void read_settings(const Section& section, Rotate& rotate) {
  section.read("degrees", rotate.degrees, {.low_open = true, .high = 180, .words = "above 0 to 180"});
}

void read_settings(const Section& section, ElasticDeform& deform) {
  section.read("alpha", deform.alpha, kAboveZero);
  section.read("sigma", deform.sigma, kAboveZero);
}

void read_settings(const Section& section, Noise& noise) {
  section.read("deviation", noise.deviation, kAboveZero);
}

/// Reads the settings of transform `name` into a `T`.
template <class T>
std::optional<TransformSpec> read_one(const Section& item, std::string_view name,
                                      std::span<const Known> known) {
  const auto section = item.open(name, known);
  if (!section) return std::nullopt;
  T what;
  read_settings(*section, what);
  TransformSpec transform{std::move(what), {}};
  section->read_choice("field", transform.field, keys::kFields);
  return transform;
}

/// Reads the only entry of `item`; none when it cannot be read.
std::optional<TransformSpec> read_entry(const Section& item, const YamlEntry& entry) {
  const std::string_view name = entry.key;
  const YamlNode& value = entry.value;
  if (name == "normalize" && value.kind == YamlNode::Kind::scalar && value.text == "per_sample") {
    return TransformSpec{Normalize{{}, {}, true}, {}};
  }
  if (name == "tokenize") return read_one<Tokenize>(item, name, keys::kTokenize);
  if (name == "pad_sequences") return read_one<PadSequences>(item, name, keys::kPadSequences);
  if (name == "normalize") return read_one<Normalize>(item, name, keys::kNormalize);
  if (name == "one_hot") return read_one<OneHot>(item, name, keys::kOneHot);
  if (name == "resize") return read_one<Resize>(item, name, keys::kResize);
  if (name == "crop") return read_one<Crop>(item, name, keys::kCrop);
  if (name == "flip") return read_one<Flip>(item, name, keys::kFlip);
  if (name == "rotate") return read_one<Rotate>(item, name, keys::kRotate);
  if (name == "elastic_deform") return read_one<ElasticDeform>(item, name, keys::kElasticDeform);
  if (name == "noise") return read_one<Noise>(item, name, keys::kNoise);
  return std::nullopt;  // unknown, which the section reported
}

/// Tokens come before their padding, and each of the two once: a second pass would read numbers as words.
void check_order(const TransformSpec& next, const std::vector<TransformSpec>& before, const Section& item,
                 const YamlEntry& entry) {
  const bool is_unique = is_a<Tokenize>(next) || is_a<PadSequences>(next);
  const bool is_repeated =
      is_unique && std::any_of(before.begin(), before.end(), [&](const TransformSpec& transform) {
        return transform.what.index() == next.what.index();
      });
  const std::string path = item.path_of(entry.key);
  if (is_repeated) {
    item.findings().add_error(path, entry.key_mark, "given twice", "each transform is applied once");
  } else if (is_a<Tokenize>(next) && std::any_of(before.begin(), before.end(), is_a<PadSequences>)) {
    item.findings().add_error(path, entry.key_mark, "expected before pad_sequences",
                              "texts are cut into tokens first");
  }
}

}  // namespace

void read_transforms(const Section& data, std::vector<TransformSpec>& transforms) {
  const YamlNode* list = data.find("transforms");
  if (list == nullptr) return;
  if (list->kind != YamlNode::Kind::sequence) {
    data.fail("transforms", "expected a list, got " + describe(*list),
              "such as [tokenize: {vocabulary: 8000}]");
    return;
  }
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    const YamlNode& node = list->items[i];
    const std::string path = data.path_of("transforms") + "[" + std::to_string(i) + "]";
    if (node.kind != YamlNode::Kind::mapping || node.entries.size() != 1) {
      const std::string got = node.kind == YamlNode::Kind::mapping
                                  ? "a mapping of " + std::to_string(node.entries.size()) + " keys"
                                  : describe(node);
      data.findings().add_error(path, node.mark, "expected one transform with its settings, got " + got,
                                "such as tokenize: {vocabulary: 8000}");
      continue;
    }
    const Section item(node, path, node.mark, keys::kTransforms, data.findings());
    auto transform = read_entry(item, node.entries.front());
    if (!transform) continue;
    check_order(*transform, transforms, item, node.entries.front());
    transforms.push_back(*std::move(transform));
  }
}

void complete_text_transforms(std::vector<TransformSpec>& transforms) {
  // Made in their last place and turned into the right one: GCC 12 takes a moved variant for uninitialised.
  if (std::none_of(transforms.begin(), transforms.end(), is_a<Tokenize>)) {
    transforms.emplace_back();  // a `Tokenize`
    std::rotate(transforms.begin(), transforms.end() - 1, transforms.end());
  }
  if (std::none_of(transforms.begin(), transforms.end(), is_a<PadSequences>)) {
    transforms.emplace_back().what.emplace<PadSequences>();
    const auto tokenize = std::find_if(transforms.begin(), transforms.end(), is_a<Tokenize>);
    std::rotate(std::next(tokenize), transforms.end() - 1, transforms.end());
  }
}

}  // namespace ds::scheduler
