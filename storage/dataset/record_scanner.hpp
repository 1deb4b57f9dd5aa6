#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "storage/dataset/record_index.hpp"

namespace ds::storage {

/// Where a record begins in a piece of a file, and how many newlines of the piece lie before it.
struct RecordStart {
  std::uint64_t offset = 0;  ///< in the file
  std::uint32_t line = 0;
};

/// Finds the beginnings of records in a piece that begins behind a newline (or at the file's beginning), fed
/// in parts. It agrees with `CsvParser` on every file that that one accepts; on others each begins a record
/// where a reader would look for one.
class RecordScanner {
 public:
  /// `in_quotes`: the piece begins inside a quoted field.
  RecordScanner(RecordLayout layout, bool in_quotes);

  void feed(std::string_view part, std::uint64_t offset);
  /// No more bytes come.
  void finish();

  bool in_quotes() const { return state_ == State::quoted; }
  std::uint32_t lines() const { return lines_; }
  std::vector<RecordStart>& starts() { return starts_; }

 private:
  enum class State { start, blank, field_start, plain, quoted, quote_seen };

  void feed_lines(std::string_view part, std::uint64_t offset);
  void feed_rows(std::string_view part, std::uint64_t offset);
  std::size_t take_plain_rows(std::string_view part, std::size_t at, std::uint64_t offset);
  void take(char byte, std::uint64_t offset);
  void add(std::uint64_t offset) { starts_.push_back({offset, lines_}); }

  RecordLayout layout_;
  char separator_;
  State state_;
  std::uint64_t candidate_ = 0;  // where the line began that is blank so far
  std::uint32_t lines_ = 0;
  std::vector<RecordStart> starts_;
};

}  // namespace ds::storage
