#include "actors/data/label_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "actors/data/table_columns.hpp"

namespace ds::data {
namespace {

/// The number a text is, written as we would write it.
std::optional<std::int64_t> whole_of(std::string_view text) {
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (std::to_string(value) != text) return std::nullopt;
  return value;
}

}  // namespace

void LabelCounts::add_text(std::string_view text, std::uint64_t count) {
  if (only_numbers_) {
    float number = 0;
    only_numbers_ = read_number(text, number);
    has_fractions_ = has_fractions_ || !whole_of(text);
  }
  std::string name(text);
  const auto found = texts_.find(name);
  if (found != texts_.end())
    found->second += count;
  else if (texts_.size() < kMaxClasses)
    texts_.emplace(std::move(name), count);
  else
    overflows_ = true;
}

void LabelCounts::add(const Value& label) {
  if (label.form == Form::text) return add_text(label.text, 1);
  // Masks have long runs of one value.
  for (std::size_t i = 0; i < label.whole.size();) {
    std::size_t end = i + 1;
    while (end < label.whole.size() && label.whole[end] == label.whole[i]) ++end;
    if (wholes_.size() < kMaxClasses || wholes_.contains(label.whole[i]))
      wholes_[label.whole[i]] += end - i;
    else
      overflows_ = true;
    i = end;
  }
}

void LabelCounts::add(const LabelCounts& other) {
  only_numbers_ = only_numbers_ && other.only_numbers_;
  has_fractions_ = has_fractions_ || other.has_fractions_;
  overflows_ = overflows_ || other.overflows_;
  for (const auto& [text, count] : other.texts_) texts_[text] += count;
  for (const auto& [value, count] : other.wholes_) wholes_[value] += count;
}

Result<std::vector<std::string>> LabelCounts::classes() const {
  std::vector<std::string> names;
  if (only_numbers_ && has_fractions_) return names;
  if (overflows_ || texts_.size() > kMaxClasses || wholes_.size() > kMaxClasses)
    return fail(ErrorCode::invalid_argument, fmt::format("the label has more than {} classes", kMaxClasses));
  if (only_numbers_) {
    std::map<std::int64_t, std::uint64_t> values = wholes_;
    for (const auto& [text, count] : texts_) values[*whole_of(text)] += count;
    for (const auto& [value, count] : values) names.push_back(std::to_string(value));
    return names;
  }
  for (const auto& [text, count] : texts_) names.push_back(text);
  std::ranges::sort(names);
  return names;
}

std::uint64_t LabelCounts::count_of(const std::string& name) const {
  const auto text = texts_.find(name);
  if (text != texts_.end()) return text->second;
  const auto value = whole_of(name);
  const auto whole = value ? wholes_.find(*value) : wholes_.end();
  return whole == wholes_.end() ? 0 : whole->second;
}

LabelRules::LabelRules(std::vector<std::string> classes)
    : classes_(std::move(classes)), table_(classes_, 0), is_identity_(!classes_.empty()) {
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    const auto value = whole_of(classes_[i]);
    if (!value) {
      values_.clear();
      is_identity_ = false;
      return;
    }
    values_.push_back(*value);
    is_identity_ = is_identity_ && *value == static_cast<std::int64_t>(i);
  }
}

void LabelRules::plan(FieldPlan& field) const {
  if (field.form == Form::text) field.form = classes_.empty() ? Form::numbers : Form::whole;
}

std::int64_t LabelRules::number_of(std::int64_t value) const {
  if (is_identity_) return value >= 0 && value < static_cast<std::int64_t>(values_.size()) ? value : kUnknown;
  const auto found = std::ranges::lower_bound(values_, value);
  return found != values_.end() && *found == value ? found - values_.begin() : kUnknown;
}

Result<void> LabelRules::apply(Value& label) const {
  if (label.form == Form::numbers) return {};
  if (label.form == Form::whole) {
    for (std::int64_t& value : label.whole) value = number_of(value);
    return {};
  }
  label.shape.clear();
  if (!classes_.empty()) {
    label.form = Form::whole;
    label.whole.assign(1, table_.find(label.text));
    return {};
  }
  label.numbers.resize(1);
  if (!read_number(label.text, label.numbers[0]))
    return fail(ErrorCode::invalid_argument, fmt::format("the label \"{}\" is no number", label.text));
  label.form = Form::numbers;
  return {};
}

}  // namespace ds::data
