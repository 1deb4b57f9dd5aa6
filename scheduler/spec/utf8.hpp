#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ds::scheduler {

/// `text` in quotes for a message: control characters and bytes that are not UTF-8 escaped, cut after 40
/// characters.
std::string to_quoted(std::string_view text);

/// The offset of the first byte that is not part of well-formed UTF-8, or none.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

/// The first `most` bytes at most, without a part of a character at the end, and … where more is left out.
std::string cut_text(std::string_view text, std::size_t most);

/// Whether `text`, well-formed UTF-8, has control characters (C0, DEL, C1), `\n` and `\t` aside if
/// `lines_allowed`.
bool has_control_character(std::string_view text, bool lines_allowed);

}  // namespace ds::scheduler
