#include "actors/data/transform.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

namespace ds::data {
namespace {

using scheduler::Crop;
using scheduler::ElasticDeform;
using scheduler::Flip;
using scheduler::Noise;
using scheduler::Normalize;
using scheduler::OneHot;
using scheduler::PadSequences;
using scheduler::Resize;
using scheduler::Rotate;
using scheduler::Tokenize;
using scheduler::TransformSpec;

/// How many tokens a sample can keep: what the next pad_sequences cuts it to.
std::size_t most_tokens(std::span<const TransformSpec> later) {
  for (const TransformSpec& spec : later) {
    if (const auto* pad = std::get_if<PadSequences>(&spec.what)) return pad->length;
  }
  return std::numeric_limits<std::size_t>::max();
}

}  // namespace

Result<std::size_t> find_field(const std::vector<FieldPlan>& fields, std::string_view named,
                               std::span<const std::string_view> usual, Form form) {
  const auto find = [&](std::string_view name) {
    return static_cast<std::size_t>(std::ranges::find(fields, name, &FieldPlan::name) - fields.begin());
  };
  std::vector<std::string> names;
  for (const FieldPlan& field : fields) names.push_back(field.name);
  std::size_t found = fields.size();
  if (!named.empty()) {
    found = find(named);
    if (found == fields.size())
      return fail(ErrorCode::invalid_argument, fmt::format("there is no field \"{}\"", named),
                  fmt::format("The fields are: {}", fmt::join(names, ", ")));
  }
  for (const std::string_view name : usual) {
    if (found == fields.size()) found = find(name);
  }
  if (found == fields.size())
    return fail(ErrorCode::invalid_argument,
                fmt::format("none of the fields {} is there", fmt::join(usual, ", ")),
                fmt::format("The fields are: {}; say which with `field:`.", fmt::join(names, ", ")));
  if (fields[found].form == form) return found;
  const auto name_of = [](Form f) {
    return f == Form::text ? "text" : f == Form::whole ? "whole numbers" : "numbers";
  };
  return fail(ErrorCode::invalid_argument,
              fmt::format("the field \"{}\" holds {}, not {}", fields[found].name,
                          name_of(fields[found].form), name_of(form)));
}

Result<std::vector<std::shared_ptr<Transform>>> make_transforms(std::span<const TransformSpec> specs,
                                                                const Learnt& learnt,
                                                                std::vector<FieldPlan>& fields) {
  std::vector<std::shared_ptr<Transform>> transforms;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const std::string& field = specs[i].field;
    struct Make {
      const std::string& field;
      const Learnt& learnt;
      std::size_t most;
      std::shared_ptr<Transform> operator()(const Tokenize& s) const {
        return make_tokenize(s, field, learnt, most);
      }
      std::shared_ptr<Transform> operator()(const PadSequences& s) const {
        return make_pad_sequences(s, field);
      }
      std::shared_ptr<Transform> operator()(const Normalize& s) const { return make_normalize(s, field); }
      std::shared_ptr<Transform> operator()(const OneHot& s) const {
        return make_one_hot(s, field, learnt.classes);
      }
      std::shared_ptr<Transform> operator()(const Resize& s) const { return make_resize(s, field); }
      std::shared_ptr<Transform> operator()(const Crop& s) const { return make_crop(s, field); }
      std::shared_ptr<Transform> operator()(const Flip& s) const { return make_flip(s, field); }
      std::shared_ptr<Transform> operator()(const Rotate& s) const { return make_rotate(s, field); }
      std::shared_ptr<Transform> operator()(const ElasticDeform& s) const {
        return make_elastic_deform(s, field);
      }
      std::shared_ptr<Transform> operator()(const Noise& s) const { return make_noise(s, field); }
    };
    auto transform = std::visit(Make{field, learnt, most_tokens(specs.subspan(i + 1))}, specs[i].what);
    auto planned = transform->plan(fields);
    if (!planned) {
      Error error = planned.error();
      error.message = fmt::format("data.transforms[{}]: {}", i, error.message);
      return tl::unexpected(std::move(error));
    }
    transforms.push_back(std::move(transform));
  }
  return transforms;
}

}  // namespace ds::data
