#include <string>

#include "storage/log/log_store.hpp"
#include "storage/text/utf8.hpp"

namespace ds::storage {

namespace {

bool is_control(std::string_view character) {
  if (character.size() == 1) {
    const char c = character.front();
    return (c >= 0 && c < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
  }
  // U+0080 to U+009F do in terminals what their ASCII forms do.
  return character.size() == 2 && character[0] == '\xC2' && static_cast<unsigned char>(character[1]) < 0xA0;
}

void append_escaped(std::string& out, std::string_view bytes) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += "\\x";
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

}  // namespace

std::string escape_control_characters(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = utf8_character_size(text);
    const std::string_view character = text.substr(0, size == 0 ? 1 : size);
    if (size == 0 || is_control(character))
      append_escaped(out, character);
    else
      out.append(character);
    text.remove_prefix(character.size());
  }
  return out;
}

}  // namespace ds::storage
