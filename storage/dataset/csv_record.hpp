#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/dataset/csv_parser.hpp"
#include "storage/result.hpp"

namespace ds::storage {

/// Whether all of it is UTF-8. Fast on ASCII.
bool is_utf8(std::string_view text);

/// The fields of one row, quickly. Reused from row to row; views live until the next one and no longer than
/// the bytes given.
struct CsvRow {
  std::vector<std::string_view> fields;
  std::string unquoted;        ///< where fields with doubled quotes lie
  std::vector<CsvField> slow;  ///< the strict parser's fields, with their places
  TextPosition end;            ///< of the row, after the strict parser only
};

/// Splits the bytes of one record (`RecordIndex::at`). Accepts exactly what `CsvParser` accepts, and fails
/// with its message for the rest: `name` and `start` are for that. `start` is asked for only then.
template <class Start>
Result<void> read_csv_row(std::string_view bytes, char separator, const std::string& name, Start&& start,
                          CsvRow& row);

/// The fast way: false for anything unusual, which is then the strict parser's to judge.
bool split_csv_row(std::string_view bytes, char separator, CsvRow& row);
/// The strict way.
Result<void> parse_csv_row(std::string_view bytes, char separator, const std::string& name,
                           TextPosition start, CsvRow& row);

template <class Start>
Result<void> read_csv_row(std::string_view bytes, char separator, const std::string& name, Start&& start,
                          CsvRow& row) {
  if (split_csv_row(bytes, separator, row)) return {};
  return parse_csv_row(bytes, separator, name, start(), row);
}

}  // namespace ds::storage
