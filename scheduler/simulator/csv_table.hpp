#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/simulator/input.hpp"

namespace ds::simulator {

enum class Cell {
  text,          ///< not empty; UTF-8 without control characters
  text_or_none,  ///< the same or empty
  number,        ///< finite
  positive,      ///< a finite number above 0
  at_least_zero,
  trace_time,             ///< seconds from 0 to `kMaxTraceS`
  at_least_zero_or_none,  ///< an empty one and `nan` are read as 0
  count,                  ///< a whole number from 1 to 2^31
  whole,                  ///< a whole number from 0 to 2^31
};

enum class Presence { required, optional };

struct Column {
  std::string_view name;
  Cell kind = Cell::number;
  Presence presence = Presence::required;  ///< an optional one that is not there has empty cells, and zeros
};

/// The columns of a CSV file that somebody needs, all cells checked. The first line names the columns, in any
/// order, others are left out. Quotes are refused: no trace has any. So is a column that is there twice.
class CsvTable {
 public:
  /// Refusals name `file:line:column`, the column in characters from one. At most 64 MiB are read,
  /// of a file or a pipe.
  static Read<CsvTable> read(const std::filesystem::path& file, std::span<const Column> columns);

  std::size_t rows() const { return texts_.empty() ? 0 : texts_.front().size(); }
  double number(std::size_t row, std::size_t column) const { return numbers_[column][row]; }
  std::uint32_t count(std::size_t row, std::size_t column) const {
    return static_cast<std::uint32_t>(numbers_[column][row]);
  }
  const std::string& text(std::size_t row, std::size_t column) const { return texts_[column][row]; }
  FilePlace at(std::size_t row, std::size_t column) const { return {row + 2, places_[column][row]}; }
  /// Where in its line a cell begins, from one.
  std::size_t place(std::size_t row, std::size_t column) const { return places_[column][row]; }

 private:
  std::vector<std::vector<std::string>> texts_;  ///< by column
  std::vector<std::vector<std::size_t>> places_;
  std::vector<std::vector<double>> numbers_;
};

}  // namespace ds::simulator
