#include "actors/data/settings_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <variant>

namespace ds::data {
namespace {

struct Describe {
  std::string operator()(const scheduler::Tokenize& s) const {
    std::string text = fmt::format("tokenize {} {}", s.method, s.vocabulary);
    if (s.ngrams > 1) text += fmt::format(" {}", s.ngrams);  // 1 reads as it did before there were n-grams
    return text;
  }
  std::string operator()(const scheduler::PadSequences& s) const { return fmt::format("pad {}", s.length); }
  std::string operator()(const scheduler::Normalize& s) const {
    return fmt::format("normalize {} {} {}", s.mean, s.deviation, s.per_sample);
  }
  std::string operator()(const scheduler::OneHot& s) const { return fmt::format("one_hot {}", s.classes); }
  std::string operator()(const scheduler::Resize& s) const { return fmt::format("resize {}", s.size); }
  std::string operator()(const scheduler::Crop& s) const {
    return fmt::format("crop {} {} {}", s.size, s.padding, s.random);
  }
  std::string operator()(const scheduler::Flip& s) const {
    return fmt::format("flip {} {}", s.axes, s.probability);
  }
  std::string operator()(const scheduler::Rotate& s) const { return fmt::format("rotate {}", s.degrees); }
  std::string operator()(const scheduler::ElasticDeform& s) const {
    return fmt::format("elastic {} {}", s.alpha, s.sigma);
  }
  std::string operator()(const scheduler::Noise& s) const { return fmt::format("noise {}", s.deviation); }
};

}  // namespace

std::string settings_text(const scheduler::SourceSpec& source,
                          std::span<const scheduler::TransformSpec> transforms) {
  std::string text = fmt::format("{} {} {} {}", source.format, source.header, source.shape, source.element);
  text += fmt::format(" {} {}\n", source.records.from, source.records.to.value_or(UINT64_MAX));
  for (const scheduler::FieldColumns& column : source.columns)
    text += fmt::format("\"{}\": {}\n", column.field, column.columns);
  for (const scheduler::TransformSpec& transform : transforms)
    text += fmt::format("{} of {}\n", std::visit(Describe{}, transform.what), transform.field);
  return text;
}

}  // namespace ds::data
