#include "storage/dataset/record_scanner.hpp"

#include <cstring>

namespace ds::storage {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

}  // namespace

RecordScanner::RecordScanner(RecordLayout layout, bool in_quotes)
    : layout_(layout),
      separator_(layout == RecordLayout::tsv ? '\t' : ','),
      state_(in_quotes ? State::quoted : State::start) {}

void RecordScanner::feed(std::string_view part, std::uint64_t offset) {
  if (layout_ == RecordLayout::lines || layout_ == RecordLayout::json_lines)
    feed_lines(part, offset);
  else
    feed_rows(part, offset);
}

void RecordScanner::feed_lines(std::string_view part, std::uint64_t offset) {
  for (std::size_t at = 0; at < part.size();) {
    if (state_ == State::start) {
      candidate_ = offset + at;
      state_ = State::blank;
      if (layout_ == RecordLayout::lines) {
        add(candidate_);
        state_ = State::plain;
      }
    }
    while (state_ == State::blank && at < part.size() && is_space(part[at])) ++at;
    if (at == part.size()) return;
    if (state_ == State::blank && part[at] != '\n') {
      add(candidate_);
      state_ = State::plain;
    }
    const void* newline = std::memchr(part.data() + at, '\n', part.size() - at);
    if (newline == nullptr) return;
    at = static_cast<std::size_t>(static_cast<const char*>(newline) - part.data()) + 1;
    ++lines_;
    state_ = State::start;
  }
}

/// Lines without a quote, the most frequent case, a line at a time.
std::size_t RecordScanner::take_plain_rows(std::string_view part, std::size_t at, std::uint64_t offset) {
  while (at < part.size()) {
    const char* begin = part.data() + at;
    const void* newline = std::memchr(begin, '\n', part.size() - at);
    if (newline == nullptr) return at;
    const auto size = static_cast<std::size_t>(static_cast<const char*>(newline) - begin);
    if (std::memchr(begin, '"', size) != nullptr) return at;
    if (size > 1 || (size == 1 && *begin != '\r')) add(offset + at);
    ++lines_;
    at += size + 1;
  }
  return at;
}

void RecordScanner::feed_rows(std::string_view part, std::uint64_t offset) {
  for (std::size_t at = 0; at < part.size();) {
    if (state_ == State::start) at = take_plain_rows(part, at, offset);
    if (at == part.size()) return;
    take(part[at], offset + at);
    ++at;
    while (at < part.size() && state_ != State::start) {
      take(part[at], offset + at);
      ++at;
    }
  }
}

void RecordScanner::take(char byte, std::uint64_t offset) {
  if (byte == '\n') ++lines_;
  if (state_ == State::start) {
    if (byte == '\n') return;
    candidate_ = offset;
    if (byte == '\r') {
      state_ = State::blank;
      return;
    }
    add(offset);
    state_ = State::field_start;
  } else if (state_ == State::blank) {
    state_ = State::start;
    if (byte == '\n') return;
    add(candidate_);
    state_ = State::plain;
  }
  if (state_ == State::quoted) {
    if (byte == '"') state_ = State::quote_seen;
  } else if (state_ == State::quote_seen && byte == '"') {
    state_ = State::quoted;
  } else if (byte == '\n') {
    state_ = State::start;
  } else if (byte == separator_) {
    state_ = State::field_start;
  } else if (state_ == State::field_start && byte == '"') {
    state_ = State::quoted;
  } else {
    state_ = State::plain;
  }
}

void RecordScanner::finish() {
  const bool is_row = layout_ == RecordLayout::csv || layout_ == RecordLayout::tsv;
  if (state_ == State::blank && is_row) add(candidate_);  // a lone carriage return: the parser names it
}

}  // namespace ds::storage
