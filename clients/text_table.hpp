#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ds::clients {

enum class Colour { none, green, yellow, red, cyan, faint };

/// One field of a table; numbers stand to the right.
struct Cell {
  std::string text;
  Colour colour = Colour::none;
  bool right = false;
};

/// Colours `text` for a terminal.
std::string colour_text(const std::string& text, Colour colour);

/// The colour that a job's or node's state has everywhere.
Colour colour_of_state(const std::string& state);

/// Lines of columns that are as wide as their widest field, two spaces apart, without trailing spaces, each
/// ended by a newline. A row shorter than the header has empty fields. Pure.
std::string format_table(const std::vector<std::string>& header, const std::vector<std::vector<Cell>>& rows,
                         bool coloured);

}  // namespace ds::clients
