#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/data/sample.hpp"
#include "scheduler/spec/train_spec.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// A field of a table's samples and the columns it is made of.
struct TableField {
  std::string name;
  Form form = Form::numbers;
  std::vector<std::string> columns;
  bool is_label = false;
};

/// The fields of `columns`, `label` moved to the end. `text`, what is tokenized and `label` are text of one
/// column, the others are numbers.
Result<std::vector<TableField>> plan_table_fields(std::span<const scheduler::FieldColumns> columns,
                                                  std::span<const std::string> text_fields);

/// A number as tables write it, spaces around it allowed; false for anything else, also infinities.
bool read_number(std::string_view text, float& number);

}  // namespace ds::data
