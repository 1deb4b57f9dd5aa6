#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ds::serving {

/// Bytes of the UTF-8 sequence that `text` begins with (1 to 4); 0: it begins with none, or is empty.
/// Surrogates, overlong forms and what is beyond U+10FFFF are none.
std::size_t utf8_sequence_length(std::string_view text);

/// Appends `code_point` (below 0x110000, no surrogate) as UTF-8.
void append_utf8(std::string& out, std::uint32_t code_point);

/// Appends the JSON string of `text` with its quotes. False: `text` is no UTF-8 and `out` as it was.
bool append_json_string(std::string& out, std::string_view text);

/// `text` for a message: at most 48 bytes of it, and what is no printable ASCII as `?`.
std::string excerpt(std::string_view text);

}  // namespace ds::serving
