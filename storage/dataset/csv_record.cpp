#include "storage/dataset/csv_record.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "storage/text/utf8.hpp"

namespace ds::storage {
namespace {

/// The line's end and blank lines behind it, or nothing at all.
bool is_only_line_ends(std::string_view rest) {
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '\n') continue;
    if (rest[i] != '\r' || i + 1 == rest.size() || rest[i + 1] != '\n') return false;
  }
  return true;
}

/// Takes a quoted field whose opening quote stands at `at`; returns where the byte behind its closing quote
/// stands, npos when it is never closed.
std::size_t take_quoted(std::string_view bytes, std::size_t at, CsvRow& row) {
  const std::size_t begin = at + 1;
  std::size_t close = bytes.find('"', begin);
  if (close == std::string_view::npos) return close;
  if (close + 1 >= bytes.size() || bytes[close + 1] != '"') {
    row.fields.push_back(bytes.substr(begin, close - begin));
    return close + 1;
  }
  const std::size_t first = row.unquoted.size();
  std::size_t from = begin;
  while (close != std::string_view::npos && close + 1 < bytes.size() && bytes[close + 1] == '"') {
    row.unquoted.append(bytes.substr(from, close + 1 - from));
    from = close + 2;
    close = bytes.find('"', from);
  }
  if (close == std::string_view::npos) return close;
  row.unquoted.append(bytes.substr(from, close - from));
  row.fields.push_back(std::string_view(row.unquoted).substr(first));
  return close + 1;
}

}  // namespace

bool is_utf8(std::string_view text) {
  constexpr std::size_t kStride = 32;
  constexpr std::uint64_t kHighBits = 0x8080808080808080U;
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t words[kStride / 8] = {};
    std::memcpy(words, text.data() + at, std::min(kStride, text.size() - at));
    if (((words[0] | words[1] | words[2] | words[3]) & kHighBits) == 0) {
      at += kStride;
      continue;
    }
    // Characters one by one, until the stride is behind us.
    for (const std::size_t end = at + kStride; at < std::min(end, text.size());) {
      const std::size_t size = utf8_character_size(text.substr(at));
      if (size == 0) return false;
      at += size;
    }
  }
  return true;
}

bool split_csv_row(std::string_view bytes, char separator, CsvRow& row) {
  row.fields.clear();
  row.unquoted.clear();
  row.unquoted.reserve(bytes.size());  // so that views into it stay
  if (bytes.size() > CsvParser::kMaxFieldBytes || !is_utf8(bytes)) return false;
  std::size_t at = 0;
  for (;;) {
    if (at < bytes.size() && bytes[at] == '"') {
      at = take_quoted(bytes, at, row);
      if (at == std::string_view::npos) return false;
    } else {
      const std::size_t begin = at;
      while (at < bytes.size() && bytes[at] != separator && bytes[at] != '\n' && bytes[at] != '\r') {
        if (bytes[at] == '"') return false;
        ++at;
      }
      row.fields.push_back(bytes.substr(begin, at - begin));
    }
    if (row.fields.size() > CsvParser::kMaxFields) return false;
    if (at == bytes.size() || bytes[at] != separator) return is_only_line_ends(bytes.substr(at));
    ++at;
  }
}

Result<void> parse_csv_row(std::string_view bytes, char separator, const std::string& name,
                           TextPosition start, CsvRow& row) {
  row.fields.clear();
  row.slow.clear();
  bool done = false;
  CsvParser parser(
      name,
      [&](std::vector<CsvField>& fields, TextPosition end) -> Result<void> {
        if (!done) row.slow = std::move(fields);
        if (!done) row.end = end;
        fields.clear();
        done = true;
        return {};
      },
      separator, start);
  auto fed = parser.feed(bytes);
  if (fed) fed = parser.finish();
  if (!fed) return fed;
  for (const CsvField& field : row.slow) row.fields.emplace_back(field.text);
  return {};
}

}  // namespace ds::storage
