#include "clients/spec_error_view.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "clients/json_fields.hpp"
#include "clients/printable.hpp"

namespace ds::clients {
namespace {

constexpr std::size_t kShownBytes = 100;  // of a long line, around the column

std::string_view line_of(std::string_view text, std::size_t number) {
  for (std::size_t line = 1; line < number; ++line) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

std::size_t count_at(const nlohmann::json& detail, const char* key) {
  return static_cast<std::size_t>(std::max<std::int64_t>(0, integer_at(detail, key)));
}

/// Where the character `number`, counted from 0, begins; the end of `line` when it has fewer.
std::size_t byte_of_character(std::string_view line, std::size_t number) {
  std::size_t at = 0;
  for (; at < line.size(); ++at) {
    const bool continues = (static_cast<unsigned char>(line[at]) & 0xc0) == 0x80;
    if (!continues && number-- == 0) break;
  }
  return at;
}

std::string format_excerpt(std::string_view text, std::size_t number, std::size_t column) {
  std::string_view line = line_of(text, number);
  if (line.empty()) return {};
  std::size_t before = byte_of_character(line, column - 1);
  std::string_view mark;
  if (line.size() > kShownBytes) {
    std::size_t begin = before > kShownBytes / 2 ? before - kShownBytes / 2 : 0;
    while (begin > 0 && (static_cast<unsigned char>(line[begin]) & 0xc0) == 0x80) --begin;
    line = line.substr(begin);
    before -= begin;
    if (begin > 0) mark = "…";
  }
  const std::string shown = std::string(mark) + printable_line(line);
  const std::size_t indent = display_width(mark) + display_width(printable_line(line.substr(0, before)));
  const std::string label = fmt::format("{:>5}", number);
  return fmt::format("{} | {}\n{:{}} | {:{}}^\n", label, cut_to_width(shown, kShownBytes + 1), "",
                     label.size(), "", indent);
}

}  // namespace

std::string format_spec_errors(const nlohmann::json& details, std::string_view file, std::string_view text,
                               std::span<const std::string> overrides) {
  std::string out;
  for (const auto& detail : details) {
    const auto line = count_at(detail, "line");
    const auto column = count_at(detail, "column");
    const auto set = count_at(detail, "set");
    std::string field = text_at(detail, "field");
    if (set > 0 && set <= overrides.size()) {
      const std::string& given = overrides[set - 1];
      out += "--set " + cut_to_width(printable_line(given), kShownBytes);
      if (given.substr(0, given.find('=')) == field) field.clear();
    } else {
      out += file;
    }
    if (line > 0) out += fmt::format(":{}", line);
    if (line > 0 && column > 0) out += fmt::format(":{}", column);
    if (!field.empty()) out += ": " + printable_line(field);
    out += ": " + printable_line(text_at(detail, "message")) + "\n";
    if (line > 0 && column > 0) out += format_excerpt(text, line, column);
    const std::string hint = text_at(detail, "hint");
    if (!hint.empty()) out += "  hint: " + printable_line(hint) + "\n";
  }
  return out;
}

}  // namespace ds::clients
