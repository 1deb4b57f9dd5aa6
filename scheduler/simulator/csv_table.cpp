#include "scheduler/simulator/csv_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <system_error>

#include "scheduler/spec/utf8.hpp"

namespace ds::simulator {
namespace {

constexpr std::size_t kMaxBytes = 64U << 20;
constexpr std::size_t kPartBytes = 64U << 10;  ///< that are read at once
constexpr double kMaxWhole = 2147483648.0;
/// The place of an optional column that a file does not have.
constexpr std::size_t kNoColumn = std::numeric_limits<std::size_t>::max();

struct Field {
  std::string_view text;
  std::size_t at = 1;
};

std::vector<Field> split(std::string_view line) {
  std::vector<Field> fields;
  for (std::size_t first = 0;;) {
    const std::size_t comma = line.find(',', first);
    fields.push_back({line.substr(first, comma - first), first + 1});
    if (comma == std::string_view::npos) return fields;
    first = comma + 1;
  }
}

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// Whether it can be shown and drawn: U+FFFE and U+FFFF are no characters of an SVG file.
bool is_plain(std::string_view text) {
  return !scheduler::find_invalid_utf8(text) && !scheduler::has_control_character(text, false) &&
         text.find("\xEF\xBF\xBE") == std::string_view::npos &&
         text.find("\xEF\xBF\xBF") == std::string_view::npos;
}

/// What `text` should have been; empty when it is right.
std::string_view fault_of(std::string_view text, Cell kind, double& value) {
  if (kind == Cell::text && text.empty()) return "a name";
  if (kind == Cell::text || kind == Cell::text_or_none)
    return is_plain(text) ? "" : "UTF-8 without control characters";
  if (kind == Cell::at_least_zero_or_none && (text.empty() || text == "nan")) return "";
  const auto number = to_number(text);
  const bool is_whole = kind == Cell::count || kind == Cell::whole;
  if (!number) return is_whole ? "a whole number" : "a number";
  value = *number;
  if (kind == Cell::positive && value <= 0) return "a number above 0";
  if ((kind == Cell::at_least_zero || kind == Cell::at_least_zero_or_none) && value < 0)
    return "a number from 0";
  if (kind == Cell::trace_time && (value < 0 || value > kMaxTraceS))
    return "seconds from 0 to 315360000 (ten years)";
  if (is_whole && value > kMaxWhole) return "a whole number up to 2147483648";
  const double least = kind == Cell::count ? 1 : 0;
  if (is_whole && (value < least || value != std::floor(value)))
    return kind == Cell::count ? "a whole number from 1" : "a whole number from 0";
  return "";
}

Read<std::string> read_text(const std::filesystem::path& file) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (status.type() == std::filesystem::file_type::not_found)
    return refuse(fmt::format("{}: there is no such file", file.string()));
  if (std::filesystem::is_directory(status))
    return refuse(fmt::format("{}: is a folder, not a file", file.string()));
  std::ifstream stream(file, std::ios::binary);
  if (!stream)
    return refuse(fmt::format("{}: cannot be opened for reading: {}", file.string(),
                              std::generic_category().message(errno)));
  // Not by its size, which a pipe doesn't have.
  std::string text;
  std::string part(kPartBytes, '\0');
  while (text.size() <= kMaxBytes && stream) {
    stream.read(part.data(), static_cast<std::streamsize>(part.size()));
    text.append(part, 0, static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.bad()) return refuse(fmt::format("{}: cannot be read", file.string()));
  if (text.size() > kMaxBytes)
    return refuse(fmt::format("{}: is larger than {} MiB", file.string(), kMaxBytes >> 20));
  if (text.empty()) return refuse(fmt::format("{}: is empty", file.string()));
  return text;
}

/// Where in a line each of `columns` stands.
Read<std::vector<std::size_t>> find_columns(const std::string& name, std::string_view header,
                                            std::span<const Column> columns) {
  const std::vector<Field> fields = split(header);
  std::vector<std::size_t> places;
  for (const Column& column : columns) {
    const auto found =
        std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.text == column.name; });
    if (found == fields.end() && column.presence == Presence::optional) {
      places.push_back(kNoColumn);
      continue;
    }
    if (found == fields.end())
      return refuse(fmt::format("{}:1:1: expected a column \"{}\", the header is \"{}\"", name, column.name,
                                header.substr(0, 200)));
    const auto again =
        std::find_if(found + 1, fields.end(), [&](const Field& f) { return f.text == column.name; });
    if (again != fields.end())
      return refuse(
          fmt::format("{}:1:{}: the column \"{}\" is there a second time", name, again->at, column.name));
    places.push_back(static_cast<std::size_t>(found - fields.begin()));
  }
  return places;
}

}  // namespace

Read<CsvTable> CsvTable::read(const std::filesystem::path& file, std::span<const Column> columns) {
  auto text = read_text(file);
  if (!text) return tl::unexpected(text.error());
  const std::string name = file.string();
  CsvTable table;
  table.texts_.resize(columns.size());
  table.places_.resize(columns.size());
  table.numbers_.resize(columns.size());
  std::vector<std::size_t> places;
  std::size_t width = 0;
  std::size_t number = 0;
  for (std::string_view rest = *text; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (const std::size_t quote = line.find('"'); quote != std::string_view::npos)
      return refuse(fmt::format("{}:{}:{}: quoted fields are not supported", name, number, quote + 1));
    if (number == 1) {
      auto found = find_columns(name, line, columns);
      if (!found) return tl::unexpected(found.error());
      places = std::move(*found);
      width = split(line).size();
      continue;
    }
    if (line.empty() && rest.empty()) break;
    const std::vector<Field> fields = split(line);
    if (fields.size() != width)
      return refuse(fmt::format("{}:{}:1: expected {} fields as in the header, got {}", name, number, width,
                                fields.size()));
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const Field field = places[c] == kNoColumn ? Field{} : fields[places[c]];
      double value = 0;
      const auto expected =
          places[c] == kNoColumn ? std::string_view{} : fault_of(field.text, columns[c].kind, value);
      if (!expected.empty())
        return refuse(fmt::format("{}:{}:{}: {}: expected {}, got {}", name, number, field.at,
                                  columns[c].name, expected, scheduler::to_quoted(field.text)));
      table.places_[c].push_back(field.at);
      table.texts_[c].emplace_back(field.text);
      table.numbers_[c].push_back(value);
    }
  }
  if (table.rows() == 0) return refuse(fmt::format("{}: has no rows", name));
  return table;
}

}  // namespace ds::simulator
