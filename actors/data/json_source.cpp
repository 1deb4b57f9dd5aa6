#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "actors/data/source.hpp"
#include "actors/data/table_columns.hpp"
#include "actors/data/text_parts.hpp"

namespace ds::data {

Result<std::unique_ptr<Source>> open_json_source(std::vector<TableField> fields, TextParts parts);

namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxNumbers = std::size_t{1} << 28;

/// Numbers of an array of any depth, one behind the other; false for anything else.
bool collect_numbers(const json& value, std::size_t depth, std::vector<float>& out) {
  if (value.is_number()) {
    out.push_back(value.get<float>());
    return std::isfinite(out.back()) && out.size() <= kMaxNumbers;
  }
  if (!value.is_array() || depth == kMaxDepth) return false;
  for (const json& item : value) {
    if (!collect_numbers(item, depth + 1, out)) return false;
  }
  return true;
}

/// An object a line.
class JsonSource final : public Source {
 public:
  JsonSource(std::vector<TableField> fields, TextParts parts)
      : fields_(std::move(fields)), parts_(std::move(parts)), content_(parts_.content()) {}

  /// Takes the number of numbers a field has from the first record.
  Result<void> prepare() {
    if (parts_.size() == 0)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}:1:1: there is no record", parts_.parts().front().file->name()),
                  "Each line is a JSON object.");
    for (const TableField& field : fields_) {
      plans_.push_back({field.name, field.form, {}});
      if (field.form == Form::numbers) plans_.back().shape = {kAnyExtent};
    }
    Sample sample;
    auto first = read(0, sample);
    // A first record that is bad is left to whoever reads it, with extents as they come.
    for (std::size_t f = 0; first && f < fields_.size(); ++f) plans_[f].shape = sample.fields[f].shape;
    return {};
  }

  std::uint64_t size() const override { return parts_.size(); }
  const std::vector<FieldPlan>& fields() const override { return plans_; }
  std::string place_of(std::uint64_t record) const override { return parts_.place_of(record); }
  const storage::Sha256& content() const override { return content_; }
  Result<void> check_unchanged(std::span<const std::uint64_t> records) const override {
    return parts_.check_unchanged(records);
  }

  Result<void> read(std::uint64_t record, Sample& sample) const override {
    const TextParts::Place place = parts_.place(record);
    const auto bytes = parts_.view(place, sample.pin);
    if (!bytes) return tl::unexpected(bytes.error());
    json object;
    try {
      object = json::parse(*bytes);
    } catch (const json::parse_error& error) {
      return fail_at(place, std::max<std::size_t>(error.byte, 1), "no JSON that can be read",
                     "Each line is a JSON object.");
    } catch (const json::exception&) {
      return fail_at(place, 1, "a number that is out of range");
    }
    if (!object.is_object()) return fail_at(place, 1, "expected a JSON object");
    sample.fields.resize(fields_.size());
    sample.texts.resize(fields_.size());
    for (std::size_t f = 0; f < fields_.size(); ++f) {
      auto taken = take_field(place, object, f, sample);
      if (!taken) return taken;
    }
    return {};
  }

 private:
  Result<void> take_field(const TextParts::Place& place, const json& object, std::size_t f,
                          Sample& sample) const {
    const TableField& field = fields_[f];
    Value& value = sample.fields[f];
    value.form = field.form;
    value.shape.clear();
    value.numbers.clear();
    std::string& text = sample.texts[f];
    for (const std::string& key : field.columns) {
      const auto found = object.find(key);
      if (found == object.end()) return fail_at(place, 1, fmt::format("the object has no \"{}\"", key));
      if (field.form == Form::numbers) {
        if (!collect_numbers(*found, 0, value.numbers))
          return fail_at(place, 1, fmt::format("\"{}\" is no number nor an array of numbers", key));
      } else if (found->is_string()) {
        text = found->get_ref<const std::string&>();
      } else if (field.is_label && (found->is_number() || found->is_boolean())) {
        text = found->dump();
      } else {
        return fail_at(place, 1, fmt::format("\"{}\" is no text", key));
      }
    }
    if (field.form == Form::numbers)
      value.shape.push_back(static_cast<std::int64_t>(value.numbers.size()));
    else
      value.text = text;
    if (field.is_label && text.empty()) return fail_at(place, 1, "the label is empty");
    return {};
  }

  static tl::unexpected<Error> fail_at(const TextParts::Place& place, std::size_t column,
                                       std::string_view what, std::string hint = {}) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}:{}:{}: {}", place.part.file->name(), TextParts::line_of(place), column, what),
                std::move(hint));
  }

  std::vector<TableField> fields_;
  std::vector<FieldPlan> plans_;
  TextParts parts_;
  storage::Sha256 content_;
};

}  // namespace

Result<std::unique_ptr<Source>> open_json_source(std::vector<TableField> fields, TextParts parts) {
  auto source = std::make_unique<JsonSource>(std::move(fields), std::move(parts));
  auto prepared = source->prepare();
  if (!prepared) return tl::unexpected(prepared.error());
  return source;
}

}  // namespace ds::data
