#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ds::clients {

/// `text` with control characters shown as `?` (tabs and newlines as spaces), so that nothing a job or its
/// file says can steer the terminal or break a table.
std::string printable_line(std::string_view text);

/// As `printable_line`, keeping newlines and tabs: for logs on a terminal.
std::string printable_text(std::string_view text);

/// How many columns a terminal gives to UTF-8 `text`, wide and combining characters counted as one.
std::size_t display_width(std::string_view text);

/// The first `width` columns of `text`, the last of them `…` when something was cut.
std::string cut_to_width(std::string_view text, std::size_t width);

/// Offset of the first byte that is not UTF-8.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

}  // namespace ds::clients
