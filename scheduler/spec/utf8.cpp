#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::size_t kLongestQuote = 40;

/// U+0080 to U+009F, which terminals obey like the controls of ASCII.
bool starts_c1_control(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]) == 0xC2U && i + 1 < text.size() &&
         static_cast<unsigned char>(text[i + 1]) < 0xA0U;
}

}  // namespace

std::string to_quoted(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::size_t valid = find_invalid_utf8(text).value_or(text.size());
  std::string out = "\"";
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool continues = i < valid && (byte & 0xC0U) == 0x80U;
    if (!continues && ++characters > kLongestQuote) {
      out += "…";
      break;
    }
    const bool in_c1_control = starts_c1_control(text, i) || (i > 0 && starts_c1_control(text, i - 1));
    if (byte == '\n') {
      out += "\\n";
    } else if (byte < 0x20U || byte == 0x7FU || i >= valid || in_c1_control) {
      out += "\\x";
      out += kHex[byte >> 4U];
      out += kHex[byte & 0xFU];
    } else {
      out += static_cast<char>(byte);
    }
  }
  return out + "\"";
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80U   ? 1
                               : lead < 0xC2U ? 0
                               : lead < 0xE0U ? 2
                               : lead < 0xF0U ? 3
                               : lead < 0xF5U ? 4
                                              : 0;
    if (length == 0 || i + length > text.size()) return i;
    for (std::size_t k = 1; k < length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      // The second byte is what rules out overlong forms, surrogates and code points above U+10FFFF.
      unsigned low = 0x80U;
      unsigned high = 0xBFU;
      if (k == 1 && lead == 0xE0U) low = 0xA0U;
      if (k == 1 && lead == 0xED) high = 0x9FU;
      if (k == 1 && lead == 0xF0U) low = 0x90U;
      if (k == 1 && lead == 0xF4U) high = 0x8FU;
      if (byte < low || byte > high) return i;
    }
    i += length;
  }
  return std::nullopt;
}

std::string cut_text(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U) --most;
  return std::string(text.substr(0, most)) + "…";
}

bool has_control_character(std::string_view text, bool lines_allowed) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (lines_allowed && (byte == '\n' || byte == '\t')) continue;
    if (byte < 0x20U || byte == 0x7FU || starts_c1_control(text, i)) return true;
  }
  return false;
}

}  // namespace ds::scheduler
