#include "actors/serving/json_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "actors/serving/json_text.hpp"

namespace ds::serving {

bool JsonReader::fail_here(std::string_view what) {
  return fail_with({ErrorCode::invalid_argument, fmt::format("JSON, byte {}: {}", offset(), what), {}});
}

bool JsonReader::fail_with(Error error) {
  if (!failed_) error_ = std::move(error);
  failed_ = true;
  return false;
}

JsonReader::Kind JsonReader::peek() {
  skip_space();
  if (failed_ || at_ == text_.size()) return Kind::nothing;
  const char c = text_[at_];
  if (c == '{') return Kind::object;
  if (c == '[') return Kind::array;
  if (c == '"') return Kind::string;
  if (c == 't' || c == 'f') return Kind::boolean;
  if (c == 'n') return Kind::null;
  return c == '-' || c == 'N' || c == 'I' || (c >= '0' && c <= '9') ? Kind::number : Kind::nothing;
}

bool JsonReader::open(char bracket, bool is_object) {
  skip_space();
  if (failed_) return false;
  if (at_ == text_.size() || text_[at_] != bracket) return fail_here(fmt::format("expected '{}'", bracket));
  if (depth() >= kMaxDepth) return fail_here(fmt::format("more than {} levels are nested", kMaxDepth));
  ++at_;
  frames_.push_back({is_object, true, keys_.size()});
  return true;
}

bool JsonReader::begin_object() {
  return open('{', true);
}

bool JsonReader::begin_array() {
  return open('[', false);
}

/// Over the comma to the next entry, or out of the frame.
bool JsonReader::next(char bracket, bool& is_over) {
  is_over = false;
  skip_space();
  if (failed_) return false;
  Frame& frame = frames_.back();
  if (at_ < text_.size() && text_[at_] == bracket) {
    ++at_;
    keys_.resize(frame.first_key);
    frames_.pop_back();
    is_over = true;
    return true;
  }
  if (!frame.is_first) {
    if (at_ == text_.size() || text_[at_] != ',')
      return fail_here(fmt::format("expected ',' or '{}'", bracket));
    ++at_;
  }
  frame.is_first = false;
  return true;
}

bool JsonReader::next_member(std::string_view& key) {
  bool is_over = false;
  if (!next('}', is_over) || is_over) return false;
  if (peek() != Kind::string) return fail_here("expected a key in quotes");
  if (!read_string(key)) return false;
  const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(frames_.back().first_key);
  if (std::find(begin, keys_.end(), key) != keys_.end())
    return fail_here(fmt::format("the key '{}' stands twice in one object", excerpt(key)));
  if (keys_.size() - frames_.back().first_key >= kMaxMembers)
    return fail_here(fmt::format("an object has more than {} members", kMaxMembers));
  keys_.emplace_back(key);
  key = keys_.back();
  skip_space();
  if (at_ == text_.size() || text_[at_] != ':') return fail_here("expected ':' after a key");
  ++at_;
  return true;
}

bool JsonReader::next_element() {
  bool is_over = false;
  return next(']', is_over) && !is_over;
}

bool JsonReader::read_string(std::string_view& out) {
  if (peek() != Kind::string) return fail_here("expected a string");
  const std::size_t begin = ++at_;
  std::size_t copied = begin;  // up to here it is in `unescaped_`, if anything is
  bool is_escaped = false;
  while (at_ < text_.size()) {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') {
      const std::string_view rest = text_.substr(copied, at_ - copied);
      ++at_;
      if (is_escaped) unescaped_ += rest;
      out = is_escaped ? std::string_view(unescaped_) : rest;
      return true;
    }
    if (c == '\\') {
      if (!is_escaped) unescaped_.clear();
      is_escaped = true;
      unescaped_ += text_.substr(copied, at_ - copied);
      if (!read_escape()) return false;
      copied = at_;
    } else if (c < 0x20) {
      return fail_here("a control character in a string must be escaped");
    } else if (c < 0x80) {
      ++at_;
    } else {
      const std::size_t length = utf8_sequence_length(text_.substr(at_));
      if (length == 0) return fail_here("a string is not UTF-8");
      at_ += length;
    }
  }
  return fail_here("a string has no end");
}

bool JsonReader::read_escape() {
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
  const char name = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
  if (const std::size_t found = kNames.find(name); name != '\0' && found != std::string_view::npos) {
    unescaped_ += kValues[found];
    at_ += 2;
    return true;
  }
  if (name != 'u') return fail_here("an unknown escape in a string");
  at_ += 2;
  std::uint32_t code = 0;
  if (!read_hex4(code)) return false;
  if (code >= 0xDC00 && code <= 0xDFFF) return fail_here("half a surrogate pair in a string");
  if (code >= 0xD800 && code <= 0xDBFF) {
    std::uint32_t low = 0;
    if (text_.substr(at_, 2) != "\\u") return fail_here("half a surrogate pair in a string");
    at_ += 2;
    if (!read_hex4(low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return fail_here("half a surrogate pair in a string");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(unescaped_, code);
  return true;
}

bool JsonReader::read_hex4(std::uint32_t& out) {
  out = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    const bool is_digit = c >= '0' && c <= '9';
    const char lower = static_cast<char>(c | 0x20);
    if (!is_digit && (lower < 'a' || lower > 'f')) return fail_here("\\u wants four hexadecimal digits");
    out = out << 4 | static_cast<std::uint32_t>(is_digit ? c - '0' : lower - 'a' + 10);
  }
  return true;
}

}  // namespace ds::serving
