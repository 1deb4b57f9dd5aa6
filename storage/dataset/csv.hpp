#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/result.hpp"

namespace ds::storage {

/// Two columns of a CSV file, in file order.
struct LabelledText {
  std::vector<std::string> texts;
  std::vector<std::string> labels;
  std::string sha256;  ///< of the file's bytes, hexadecimal
};

/// Reads the columns `text_column` and `label_column` of a CSV file with a header (RFC 4180: quoted fields
/// may hold commas, doubled quotes and newlines; LF and CRLF; a UTF-8 byte order mark and wholly blank lines
/// are passed over). Lines and columns count from one, columns in characters.
///
/// Errors are `invalid_argument` that name `file:line:column`: an empty file, a header without the column
/// (the hint lists those there are and the nearest), a row with more or fewer fields than the header, a quote
/// that is never closed, bytes that are not UTF-8, a carriage return alone, a quote in the midst of a field,
/// a column that the header has twice, an empty label, no row at all. `not_found` and `permission_denied` for
/// the file itself.
Result<LabelledText> read_labelled_text(const std::filesystem::path& file, const std::string& text_column,
                                        const std::string& label_column);

/// What can be told in a moment, for use at submit: the file can be read, is not empty, its header has both
/// columns, and one row follows. Reads at most 64 KiB.
Result<void> check_labelled_text(const std::filesystem::path& file, const std::string& text_column,
                                 const std::string& label_column);

}  // namespace ds::storage
