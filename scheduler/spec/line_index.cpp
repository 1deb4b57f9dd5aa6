#include "scheduler/spec/line_index.hpp"

#include <algorithm>

namespace ds::scheduler {

LineIndex::LineIndex(std::string_view text) : text_(text) {
  starts_.push_back(0);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') starts_.push_back(i + 1);
  }
}

Mark LineIndex::at(std::size_t line, std::size_t column) const {
  line = std::min(line, starts_.size() - 1);
  const std::size_t start = starts_[line];
  std::size_t end = line + 1 < starts_.size() ? starts_[line + 1] - 1 : text_.size();
  if (end > start && text_[end - 1] == '\r') --end;
  const std::string_view before = text_.substr(start, std::min(column, end - start));
  const auto characters = std::count_if(
      before.begin(), before.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
  return {line + 1, static_cast<std::size_t>(characters) + 1};
}

Mark LineIndex::at_offset(std::size_t offset) const {
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), offset);
  const auto line = static_cast<std::size_t>(next - starts_.begin()) - 1;
  return at(line, offset - starts_[line]);
}

std::string_view LineIndex::text_from(std::size_t line, std::size_t column) const {
  if (line >= starts_.size()) return {};
  return text_.substr(std::min(starts_[line] + column, text_.size()));
}

}  // namespace ds::scheduler
