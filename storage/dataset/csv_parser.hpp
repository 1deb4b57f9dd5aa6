#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/result.hpp"
#include "storage/text/utf8.hpp"

namespace ds::storage {

/// A place in a text file, as editors count: from one, columns in characters.
struct TextPosition {
  std::uint64_t line = 1;
  std::uint64_t column = 1;
};

struct CsvField {
  std::string text;
  TextPosition at;
};

/// A strict RFC 4180 state machine, fed in pieces of any size; it also refuses bytes that are not UTF-8.
///
/// Ours, because no packaged library can do it: fast-cpp-csv-parser (libfccp-dev) splits at newlines first,
/// so a quoted field cannot hold one, and wants the columns at compile time; libcsv reports no positions,
/// trims blanks and takes lone carriage returns for line ends unless told otherwise, and has had no release
/// since 2013.
class CsvParser {
 public:
  /// Takes a row's fields, at least one; the position is where the row ends. It may move the texts out. An
  /// error stops the parser.
  using OnRow = std::function<Result<void>(std::vector<CsvField>& fields, TextPosition end)>;

  static constexpr std::size_t kMaxFieldBytes = 16U << 20;
  static constexpr std::size_t kMaxFields = 65'536;

  /// `name` begins the messages of errors (`name:line:column: …`). `start` is the place of the first byte.
  CsvParser(std::string name, OnRow on_row, char separator = ',', TextPosition start = {});

  Result<void> feed(std::string_view bytes);
  /// Says that no more bytes come: ends the last row.
  Result<void> finish();

  /// `invalid_argument` at a place in this file.
  tl::unexpected<Error> fail_at(TextPosition at, std::string_view message, std::string hint = {}) const;

 private:
  enum class State { field_start, plain, quoted, quote_seen, return_seen };

  Result<void> take(char byte);
  Result<void> take_outside_quotes(char byte);
  Result<void> take_after_quote(char byte);
  Result<void> put(char byte);
  Result<void> end_field();
  Result<void> end_row();
  void advance(char byte, bool ends_character);

  std::string name_;
  OnRow on_row_;
  char separator_;
  State state_ = State::field_start;
  Utf8Checker utf8_;
  std::uint8_t first_byte_ = 0;  // of the character at `here_`
  std::vector<CsvField> row_;
  CsvField field_;
  bool field_was_quoted_ = false;
  TextPosition here_;     // of the character that the next byte belongs to
  TextPosition row_end_;  // where the carriage return stood
  std::uint64_t bytes_seen_ = 0;
  std::string held_;  // the first bytes, until they are known not to be a byte order mark
};

}  // namespace ds::storage
