#include "scheduler/spec/job_format.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <utility>

#include "scheduler/spec/job_keys.hpp"

namespace ds::scheduler {
namespace format {

using Kind = FormatType::Kind;

FormatType whole(double low, double high) {
  return {.kind = Kind::whole, .noun = {}, .range = {.low = low, .high = high, .words = ""}};
}
FormatType real(RealRange range) {
  return {.kind = Kind::real, .noun = {}, .range = range};
}
FormatType flag() {
  return {.kind = Kind::flag, .noun = {}};
}
FormatType always() {
  return {.kind = Kind::flag, .noun = "true"};
}
FormatType text(std::string noun) {
  return {.kind = Kind::text, .noun = std::move(noun)};
}
FormatType pattern(std::string noun, std::string expression) {
  return {.kind = Kind::text, .noun = std::move(noun), .pattern = std::move(expression)};
}
FormatType name() {
  return pattern("a name (1 to 63 of a-z, 0-9, '.', '_', '-')", "[a-z0-9][a-z0-9._-]{0,62}");
}
FormatType queue() {
  return pattern("the name or the path of a queue, such as prod or nlp/prod",
                 "[a-z0-9][a-z0-9._-]{0,62}(/[a-z0-9][a-z0-9._-]{0,62})*");
}
FormatType choice(std::span<const Known> words) {
  return {.kind = Kind::choice, .noun = {}, .words = words};
}
namespace {
constexpr const char* kDurationPattern = "(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?";
}  // namespace
FormatType duration() {
  return pattern("a duration, such as 500ms, 90s, 1h30m or 30d", kDurationPattern);
}
FormatType moment() {
  return pattern(
      "a duration from the submission on, such as 2h, or a time, such as 2030-01-31T08:00:00Z",
      std::string(kDurationPattern) + "|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})");
}
FormatType size() {
  return pattern("a size, such as 512Mi or 8Gi", "[0-9]+(Ki|Mi|Gi|Ti|Pi)?");
}
FormatType steps(std::string noun) {
  return pattern(std::move(noun), "[0-9]+( steps?)?");
}
FormatType list(FormatType item, std::size_t fewest, std::size_t most) {
  return {.kind = Kind::list, .noun = {}, .fewest = fewest, .most = most, .items = {std::move(item)}};
}
std::vector<FormatType> one_or_list(const FormatType& item, std::size_t most) {
  return {item, list(item, 1, most)};
}

std::vector<FormatField> in_order(std::span<const Known> keys, std::vector<FormatField> fields) {
  std::vector<FormatField> ordered;
  for (const Known& key : keys) {
    const auto field = std::ranges::find(fields, key.name, &FormatField::name);
    if (field == fields.end() && key.support != Known::Support::not_yet)
      throw std::logic_error("the job file's field " + std::string(key.name) + " has no description");
    ordered.push_back(field == fields.end() ? FormatField{.name = key.name} : std::move(*field));
    if (field != fields.end()) fields.erase(field);
  }
  if (!fields.empty())
    throw std::logic_error("described, but no field of the job file: " + std::string(fields.front().name));
  return ordered;
}

FormatType mapping(std::span<const Known> keys, std::vector<FormatField> fields) {
  return {.kind = Kind::mapping, .noun = {}, .fields = in_order(keys, std::move(fields))};
}

FormatType mapping_of(FormatType value, std::string noun) {
  return {.kind = Kind::mapping, .noun = std::move(noun), .others = {std::move(value)}};
}

}  // namespace format

namespace {

std::string number_text(double value) {
  std::string text = std::to_string(value);
  if (value == std::floor(value)) return text.substr(0, text.find('.'));
  while (text.back() == '0') text.pop_back();
  return text;
}

std::string join(std::span<const FormatField> fields) {
  std::string names;
  for (const FormatField& field : fields) {
    if (!field.types.empty()) names.append(names.empty() ? "" : ", ").append(field.name);
  }
  return names;
}

std::string describe_range(const RealRange& range) {
  if (!range.words.empty()) return " " + std::string(range.words);
  const bool has_low = range.low > -std::numeric_limits<double>::max();
  const bool has_high = range.high < std::numeric_limits<double>::max();
  return (has_low ? " from " + number_text(range.low) : "") +
         (has_high ? " to " + number_text(range.high) : "");
}

std::string describe_one(const FormatType& type) {
  using Kind = FormatType::Kind;
  if (!type.noun.empty()) return type.noun;
  switch (type.kind) {
    case Kind::whole:
      if (type.range.low == type.range.high) return number_text(type.range.low);
      return "a whole number" + describe_range(type.range);
    case Kind::real:
      return "a number" + describe_range(type.range);
    case Kind::flag:
      return "true or false";
    case Kind::choice: {
      const std::string names = list_names(type.words);
      return names.find(',') == std::string::npos ? names : "one of " + names;
    }
    case Kind::list:
      return "a list of " + std::to_string(type.fewest) + " to " + std::to_string(type.most) + ", of each " +
             describe(type.items);
    case Kind::mapping:
      return "a mapping of " + join(type.fields);
    case Kind::text:
      break;
  }
  return "text";
}

}  // namespace

std::string describe(std::span<const FormatType> types) {
  std::string text;
  for (const FormatType& type : types) text += (text.empty() ? "" : "; or ") + describe_one(type);
  return text;
}

std::vector<FormatField> job_format(JobKind kind) {
  auto fields = format::common_fields(kind);
  auto own = kind == JobKind::train   ? format::train_fields()
             : kind == JobKind::serve ? format::serve_fields()
                                      : format::command_fields();
  std::ranges::move(own, std::back_inserter(fields));
  switch (kind) {
    case JobKind::command:
      return format::in_order(keys::kCommand, std::move(fields));
    case JobKind::serve:
      return format::in_order(keys::kServe, std::move(fields));
    case JobKind::train:
      break;
  }
  return format::in_order(keys::kTrain, std::move(fields));
}

}  // namespace ds::scheduler
