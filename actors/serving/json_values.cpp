// The values of JSON that are no containers and no strings, and whole values passed over.
#include <fmt/format.h>

#include "actors/serving/json_reader.hpp"

namespace ds::serving {

bool JsonReader::read_literal(std::string_view literal) {
  if (text_.substr(at_, literal.size()) != literal) return fail_here(fmt::format("expected {}", literal));
  at_ += literal.size();
  return true;
}

bool JsonReader::read_boolean(bool& out) {
  if (peek() != Kind::boolean) return fail_here("expected true or false");
  out = text_[at_] == 't';
  return read_literal(out ? "true" : "false");
}

bool JsonReader::skip_digits() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
  return at_ > begin || fail_here("expected a digit");
}

bool JsonReader::skip_number() {
  const auto is_next = [&](char c) { return at_ < text_.size() && text_[at_] == c; };
  if (is_next('-')) ++at_;
  if (is_next('I')) return read_literal("Infinity");
  if (is_next('0')) {
    ++at_;
  } else if (!skip_digits()) {
    return false;
  }
  if (is_next('.')) {
    ++at_;
    if (!skip_digits()) return false;
  }
  if (is_next('e') || is_next('E')) {
    ++at_;
    if (is_next('+') || is_next('-')) ++at_;
    if (!skip_digits()) return false;
  }
  return true;
}

bool JsonReader::read_number(std::string_view& out) {
  if (peek() != Kind::number) return fail_here("expected a number");
  const std::size_t begin = at_;
  if (!(text_[at_] == 'N' ? read_literal("NaN") : skip_number())) return false;
  out = text_.substr(begin, at_ - begin);
  return true;
}

bool JsonReader::skip_value(std::string_view* text) {
  const Kind kind = peek();
  const std::size_t begin = at_;
  std::string_view ignored;
  bool flag = false;
  bool ok = false;
  if (kind == Kind::object) {
    ok = begin_object();
    while (ok && next_member(ignored)) ok = skip_value();
  } else if (kind == Kind::array) {
    ok = begin_array();
    while (ok && next_element()) ok = skip_value();
  } else if (kind == Kind::string) {
    ok = read_string(ignored);
  } else if (kind == Kind::number) {
    ok = read_number(ignored);
  } else if (kind == Kind::boolean) {
    ok = read_boolean(flag);
  } else if (kind == Kind::null) {
    ok = read_literal("null");
  } else {
    ok = fail_here("expected a value");
  }
  if (!ok || failed_) return false;
  if (text != nullptr) *text = text_.substr(begin, at_ - begin);
  return true;
}

bool JsonReader::expect_end() {
  skip_space();
  if (failed_) return false;
  return at_ == text_.size() || fail_here("something stands after the end of the JSON");
}

}  // namespace ds::serving
