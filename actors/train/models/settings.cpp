#include "actors/train/models/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "storage/dataset/nearest_name.hpp"

namespace ds::train {
namespace {

const char* name_of(data::Element element) {
  switch (element) {
    case data::Element::float32:
      return "float32";
    case data::Element::int64:
      return "int64";
    case data::Element::uint8:
      return "uint8";
  }
  return "?";
}

Result<data::FieldShape> only_input(const ModelRequest& request) {
  std::vector<data::FieldShape> inputs;
  for (const data::FieldShape& field : request.fields) {
    if (field.name != "label") inputs.push_back(field);
  }
  if (inputs.size() == 1) return inputs.front();
  return fail(ErrorCode::invalid_argument, fmt::format("model.zoo: {} takes one input, the data has {}",
                                                       request.model.zoo, inputs.size()));
}

bool is_text(const data::FieldShape& field) {
  return field.element == data::Element::int64 && field.shape.size() == 1;
}

}  // namespace

void Settings::refuse(const std::string& name, const std::string& problem) {
  if (problem_) problem_ = fail(ErrorCode::invalid_argument, fmt::format("model.{}: {}", name, problem));
}

std::vector<std::int64_t> Settings::wholes(const std::string& name, std::vector<std::int64_t> fallback,
                                           std::int64_t least, std::int64_t most) {
  known_.push_back(name);
  const auto found = model_.settings.find(name);
  if (found == model_.settings.end()) return fallback;
  std::vector<std::int64_t> values;
  for (const double value : found->second) {
    if (!(value >= static_cast<double>(least) && value <= static_cast<double>(most)) ||
        value != std::floor(value)) {
      refuse(name, fmt::format("expected a whole number from {} to {}, got {}", least, most, value));
      return fallback;
    }
    values.push_back(static_cast<std::int64_t>(value));
  }
  return values;
}

std::int64_t Settings::whole(const std::string& name, std::int64_t fallback, std::int64_t least,
                             std::int64_t most) {
  const std::vector<std::int64_t> values = wholes(name, {fallback}, least, most);
  if (values.size() == 1) return values.front();
  refuse(name, fmt::format("expected one number, got {}", values.size()));
  return fallback;
}

bool Settings::flag(const std::string& name, bool fallback) {
  return whole(name, fallback ? 1 : 0, 0, 1) == 1;
}

double Settings::probability(const std::string& name, double fallback) {
  known_.push_back(name);
  const auto found = model_.settings.find(name);
  if (found == model_.settings.end()) return fallback;
  if (found->second.size() == 1 && found->second[0] >= 0 && found->second[0] < 1) return found->second[0];
  refuse(name, fmt::format("expected a number in [0, 1), got {}", fmt::join(found->second, ", ")));
  return fallback;
}

Result<void> Settings::check() const {
  if (!problem_) return problem_;
  for (const auto& [name, values] : model_.settings) {
    if (std::ranges::find(known_, name) != known_.end()) continue;
    const auto nearest = storage::find_nearest_name(name, known_);
    return fail(ErrorCode::invalid_argument,
                fmt::format("model.{}: {} has no such setting, there are {}", name, model_.zoo,
                            fmt::join(known_, ", ")),
                nearest ? fmt::format("did you mean {}?", *nearest) : "");
  }
  return {};
}

Result<data::FieldShape> token_input(const ModelRequest& request) {
  Result<data::FieldShape> input = only_input(request);
  if (!input) return input;
  if (is_text(*input) && input->shape[0] > 0 && request.vocabulary > 0) return input;
  return fail(ErrorCode::invalid_argument,
              fmt::format("model.zoo: {} takes tokens (int64, one dimension), but {}", request.model.zoo,
                          to_text(*input)),
              "data.transforms: tokenize and pad_sequences make tokens of text");
}

Result<data::FieldShape> number_input(const ModelRequest& request) {
  return only_input(request);
}

bool wants_one_score(const ModelRequest& request) {
  if (request.classes != 2) return false;
  const auto is = [](const char* name) {
    return [name](const scheduler::LossTerm& term) { return term.name == name; };
  };
  return std::ranges::any_of(request.loss, is("bce")) &&
         std::ranges::none_of(request.loss, is("cross_entropy"));
}

const data::FieldShape* find_label(const ModelRequest& request) {
  const auto found = std::ranges::find(request.fields, "label", &data::FieldShape::name);
  return found == request.fields.end() ? nullptr : &*found;
}

Result<std::vector<std::int64_t>> output_shape(const ModelRequest& request) {
  const data::FieldShape* label = find_label(request);
  if (label == nullptr) return fail(ErrorCode::invalid_argument, "data.train: training needs a label");
  if (request.classes == 0) return label->shape;
  if (product_of(label->shape) != 1) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("model.zoo: {} gives one class a sample, but {}", request.model.zoo, to_text(*label)),
        "unet gives a class for each pixel of a mask");
  }
  if (wants_one_score(request)) return std::vector<std::int64_t>{};
  return std::vector<std::int64_t>{std::int64_t{request.classes}};
}

std::string to_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string to_text(const data::FieldShape& field) {
  return fmt::format("the field `{}` is {} {}", field.name, name_of(field.element), to_text(field.shape));
}

std::int64_t product_of(const std::vector<std::int64_t>& shape) {
  std::int64_t product = 1;
  for (const std::int64_t length : shape) product *= length;
  return product;
}

}  // namespace ds::train
