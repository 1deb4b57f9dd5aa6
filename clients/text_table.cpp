#include "clients/text_table.hpp"

#include <algorithm>

#include "clients/printable.hpp"

namespace ds::clients {
namespace {

const char* escape_of(Colour colour) {
  switch (colour) {
    case Colour::green:
      return "\x1b[32m";
    case Colour::yellow:
      return "\x1b[33m";
    case Colour::red:
      return "\x1b[31m";
    case Colour::cyan:
      return "\x1b[36m";
    case Colour::faint:
      return "\x1b[2m";
    case Colour::none:
      break;
  }
  return "";
}

std::string format_row(const std::vector<Cell>& row, const std::vector<std::size_t>& widths, bool coloured) {
  std::string line;
  for (std::size_t column = 0; column < widths.size(); ++column) {
    const Cell cell = column < row.size() ? row[column] : Cell{};
    const std::string text = printable_line(cell.text);
    const std::string padding(widths[column] - display_width(text), ' ');
    const std::string shown = coloured ? colour_text(text, cell.colour) : text;
    line += (column == 0 ? "" : "  ") + (cell.right ? padding + shown : shown + padding);
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line + "\n";
}

}  // namespace

std::string colour_text(const std::string& text, Colour colour) {
  return colour == Colour::none || text.empty() ? text : escape_of(colour) + text + "\x1b[0m";
}

Colour colour_of_state(const std::string& state) {
  if (state == "SUCCEEDED" || state == "UP") return Colour::green;
  if (state == "FAILED") return Colour::red;
  if (state == "CANCELLED") return Colour::faint;
  if (state == "RUNNING") return Colour::cyan;
  return Colour::yellow;
}

std::string format_table(const std::vector<std::string>& header, const std::vector<std::vector<Cell>>& rows,
                         bool coloured) {
  std::vector<std::size_t> widths;
  for (const auto& name : header) widths.push_back(display_width(name));
  std::vector<Cell> names;
  for (std::size_t column = 0; column < header.size(); ++column) {
    const bool right = !rows.empty() && column < rows.front().size() && rows.front()[column].right;
    names.push_back({header[column], Colour::faint, right});
  }
  for (const auto& row : rows) {
    for (std::size_t column = 0; column < std::min(row.size(), widths.size()); ++column) {
      widths[column] = std::max(widths[column], display_width(printable_line(row[column].text)));
    }
  }
  std::string out = format_row(names, widths, coloured);
  for (const auto& row : rows) out += format_row(row, widths, coloured);
  return out;
}

}  // namespace ds::clients
