#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ds::storage {

/// Checks UTF-8 byte by byte: no overlong forms, no surrogates, nothing above U+10FFFF.
class Utf8Checker {
 public:
  enum class Step {
    complete,  ///< this byte ends a character
    more,      ///< the character goes on
    invalid,   ///< not UTF-8; the checker starts afresh with the next byte
  };
  Step next(std::uint8_t byte);

  bool between_characters() const { return left_ == 0; }

 private:
  std::uint8_t left_ = 0;  // continuation bytes still to come
  std::uint8_t low_ = 0x80;
  std::uint8_t high_ = 0xBF;  // bounds of the next one
};

/// Length of the valid character at the front of `text`, or 0 when there is none (or it is cut off).
std::size_t utf8_character_size(std::string_view text);

/// Length of the longest prefix that does not end inside a character. For readers of pipes: keep the rest for
/// the next turn.
std::size_t complete_utf8_prefix(std::string_view text);

}  // namespace ds::storage
