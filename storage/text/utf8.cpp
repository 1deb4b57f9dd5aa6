#include "storage/text/utf8.hpp"

#include <algorithm>

namespace ds::storage {

Utf8Checker::Step Utf8Checker::next(std::uint8_t byte) {
  if (left_ > 0) {
    const bool fits = byte >= low_ && byte <= high_;
    low_ = 0x80;
    high_ = 0xBF;
    left_ = fits ? static_cast<std::uint8_t>(left_ - 1) : std::uint8_t{0};
    if (!fits) return Step::invalid;
    return left_ == 0 ? Step::complete : Step::more;
  }
  if (byte < 0x80) return Step::complete;
  if (byte < 0xC2 || byte > 0xF4) return Step::invalid;
  // The first continuation byte has narrower bounds where an overlong form, a surrogate or too large a number
  // begins.
  if (byte == 0xE0) low_ = 0xA0;
  if (byte == 0xED) high_ = 0x9F;
  if (byte == 0xF0) low_ = 0x90;
  if (byte == 0xF4) high_ = 0x8F;
  left_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
  return Step::more;
}

std::size_t utf8_character_size(std::string_view text) {
  Utf8Checker checker;
  const std::size_t limit = std::min<std::size_t>(text.size(), 4);
  for (std::size_t i = 0; i < limit; ++i) {
    const Utf8Checker::Step step = checker.next(static_cast<std::uint8_t>(text[i]));
    if (step == Utf8Checker::Step::complete) return i + 1;
    if (step == Utf8Checker::Step::invalid) return 0;
  }
  return 0;
}

std::size_t complete_utf8_prefix(std::string_view text) {
  // Only the last three bytes can begin a character that is cut off.
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const std::size_t start = text.size() - back;
    Utf8Checker checker;
    auto step = Utf8Checker::Step::complete;
    for (std::size_t i = start; i < text.size(); ++i) {
      step = checker.next(static_cast<std::uint8_t>(text[i]));
      if (step != Utf8Checker::Step::more) break;
    }
    if (step == Utf8Checker::Step::more) return start;
  }
  return text.size();
}

}  // namespace ds::storage
