#include "storage/dataset/csv_parser.hpp"

#include <fmt/format.h>

#include <utility>

namespace ds::storage {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

CsvParser::CsvParser(std::string name, OnRow on_row, char separator, TextPosition start)
    : name_(std::move(name)), on_row_(std::move(on_row)), separator_(separator), here_(start) {}

tl::unexpected<Error> CsvParser::fail_at(TextPosition at, std::string_view message, std::string hint) const {
  return fail(ErrorCode::invalid_argument, fmt::format("{}:{}:{}: {}", name_, at.line, at.column, message),
              std::move(hint));
}

Result<void> CsvParser::feed(std::string_view bytes) {
  for (const char byte : bytes) {
    if (bytes_seen_ < kByteOrderMark.size() && bytes_seen_ == held_.size() &&
        byte == kByteOrderMark[held_.size()]) {
      held_ += byte;
      ++bytes_seen_;
      if (held_ == kByteOrderMark) held_.clear();
      continue;
    }
    for (const char early : std::exchange(held_, {})) {
      auto taken = take(early);
      if (!taken) return taken;
    }
    bytes_seen_ = kByteOrderMark.size();
    auto taken = take(byte);
    if (!taken) return taken;
  }
  return {};
}

Result<void> CsvParser::finish() {
  for (const char early : std::exchange(held_, {})) {
    auto taken = take(early);
    if (!taken) return taken;
  }
  if (!utf8_.between_characters()) return fail_at(here_, "the file ends inside a UTF-8 character");
  if (state_ == State::quoted)
    return fail_at(field_.at, "this quote is never closed",
                   "Close the field with a quote, or double a quote that is meant as text.");
  if (state_ == State::return_seen) return fail_at(row_end_, "a carriage return without a newline behind it");
  const bool at_line_start = row_.empty() && state_ == State::field_start;
  return at_line_start ? Result<void>() : end_row();
}

Result<void> CsvParser::take(char byte) {
  if (utf8_.between_characters()) first_byte_ = static_cast<std::uint8_t>(byte);
  const Utf8Checker::Step step = utf8_.next(static_cast<std::uint8_t>(byte));
  if (step == Utf8Checker::Step::invalid)
    return fail_at(here_, fmt::format("byte 0x{:02X} is not UTF-8", first_byte_),
                   "Save the file as UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8");
  Result<void> taken;
  if (state_ == State::quoted && byte == '"')
    state_ = State::quote_seen;
  else if (state_ == State::quoted)
    taken = put(byte);
  else if (state_ == State::quote_seen)
    taken = take_after_quote(byte);
  else
    taken = take_outside_quotes(byte);
  advance(byte, step == Utf8Checker::Step::complete);
  return taken;
}

Result<void> CsvParser::take_outside_quotes(char byte) {
  if (state_ == State::return_seen && byte != '\n')
    return fail_at(row_end_, "a carriage return without a newline behind it",
                   "Save the file with LF or CRLF line ends.");
  if (byte == separator_) return end_field();
  if (byte == '\n') return end_row();
  if (byte == '\r') {
    row_end_ = here_;
    state_ = State::return_seen;
    return {};
  }
  if (state_ == State::plain && byte == '"')
    return fail_at(here_, "a quote inside a field that does not begin with one",
                   "Put the whole field in quotes and double this one.");
  if (state_ == State::field_start) field_.at = here_;
  if (state_ == State::field_start && byte == '"') {
    state_ = State::quoted;
    field_was_quoted_ = true;
    return {};
  }
  state_ = State::plain;
  return put(byte);
}

Result<void> CsvParser::take_after_quote(char byte) {
  if (byte == '"') {
    state_ = State::quoted;
    return put(byte);
  }
  if (byte == separator_) return end_field();
  if (byte == '\n') return end_row();
  if (byte != '\r')
    return fail_at(here_,
                   separator_ == ','
                       ? "text behind a closing quote, where a comma or the line's end should be"
                       : "text behind a closing quote, where a tab or the line's end should be",
                   "Double a quote that is meant as text.");
  row_end_ = here_;
  state_ = State::return_seen;
  return {};
}

Result<void> CsvParser::put(char byte) {
  if (field_.text.size() >= kMaxFieldBytes)
    return fail_at(field_.at, fmt::format("a field of more than {} MiB", kMaxFieldBytes >> 20),
                   "Is a quote left open?");
  field_.text += byte;
  return {};
}

Result<void> CsvParser::end_field() {
  const bool is_empty_start =
      state_ == State::field_start || (state_ == State::return_seen && field_.text.empty());
  if (is_empty_start && !field_was_quoted_) field_.at = state_ == State::return_seen ? row_end_ : here_;
  if (row_.size() >= kMaxFields)
    return fail_at(here_, fmt::format("a row of more than {} fields", kMaxFields));
  row_.push_back(std::exchange(field_, {}));
  field_was_quoted_ = false;
  state_ = State::field_start;
  return {};
}

Result<void> CsvParser::end_row() {
  const TextPosition end = state_ == State::return_seen ? row_end_ : here_;
  const bool is_blank_line = row_.empty() && field_.text.empty() && !field_was_quoted_;
  if (is_blank_line) {
    state_ = State::field_start;
    return {};
  }
  auto ended = end_field();
  if (!ended) return ended;
  auto taken = on_row_(row_, end);
  row_.clear();
  return taken;
}

void CsvParser::advance(char byte, bool ends_character) {
  if (byte == '\n')
    here_ = {here_.line + 1, 1};
  else if (ends_character)
    ++here_.column;
}

}  // namespace ds::storage
