#include "actors/data/table_columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ds::data {

Result<std::vector<TableField>> plan_table_fields(std::span<const scheduler::FieldColumns> columns,
                                                  std::span<const std::string> text_fields) {
  if (columns.empty())
    return fail(ErrorCode::invalid_argument, "columns: a table needs to know which columns make the sample",
                "Such as columns: {text: utterance, label: intent}.");
  std::vector<TableField> fields;
  for (const scheduler::FieldColumns& given : columns) {
    TableField field{given.field, Form::numbers, given.columns, given.field == "label"};
    if (field.is_label || given.field == "text" ||
        std::ranges::find(text_fields, given.field) != text_fields.end())
      field.form = Form::text;
    if (given.columns.empty() || (field.form == Form::text && given.columns.size() != 1))
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("columns.{}: expected {}, got {}", given.field,
                      field.form == Form::text ? "one column" : "at least one column", given.columns.size()));
    if (std::ranges::find(fields, field.name, &TableField::name) != fields.end())
      return fail(ErrorCode::invalid_argument, fmt::format("columns.{}: given twice", given.field));
    fields.push_back(std::move(field));
  }
  std::stable_partition(fields.begin(), fields.end(),
                        [](const TableField& field) { return !field.is_label; });
  return fields;
}

bool read_number(std::string_view text, float& number) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && !text.empty() &&
         std::isfinite(number);
}

}  // namespace ds::data
