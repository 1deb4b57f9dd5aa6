#include "actors/node/log_buffer.hpp"

#include <fmt/format.h>

#include <utility>

#include "storage/text/utf8.hpp"

namespace ds::node {
namespace {

/// Of a UTF-8 character whose first byte stands before it.
bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

}  // namespace

void LogBuffer::add(std::string_view bytes) {
  waiting_ += bytes;
  if (waiting_.size() <= kMaxBytes) return;
  const auto least = waiting_.size() - kMaxBytes / 2;
  const auto line_end = waiting_.find('\n', least);
  auto cut = line_end == std::string::npos ? least : line_end + 1;
  while (cut < waiting_.size() && is_continuation(waiting_[cut])) ++cut;
  waiting_.erase(0, cut);
  dropped_ += cut;
}

/// How much of what waits may go now.
std::size_t LogBuffer::next_size() const {
  if (waiting_.size() > kPieceBytes) {
    const auto line_end = waiting_.rfind('\n', kPieceBytes - 1);
    if (line_end != std::string::npos) return line_end + 1;
    return storage::complete_utf8_prefix(std::string_view(waiting_).substr(0, kPieceBytes));
  }
  if (is_closed_) return waiting_.size();
  if (whole_lines_) return waiting_.rfind('\n') + 1;  // npos + 1 is 0
  return storage::complete_utf8_prefix(waiting_);
}

std::string LogBuffer::take_notice() {
  if (dropped_ == 0) return {};
  const auto* new_line = ends_line_ ? "" : "\n";
  return fmt::format("{}[ds: {} bytes of output were dropped here]\n", new_line, std::exchange(dropped_, 0));
}

std::optional<std::string> LogBuffer::take() {
  if (busy_) return std::nullopt;
  const auto size = next_size();
  if (size == 0 && dropped_ == 0) return std::nullopt;
  under_way_ = take_notice() + waiting_.substr(0, size);
  waiting_.erase(0, size);
  ends_line_ = under_way_.back() == '\n';
  busy_ = true;
  return under_way_;
}

void LogBuffer::on_new_head() {
  if (busy_) waiting_.insert(0, under_way_ + take_notice());
  under_way_.clear();
  busy_ = false;
}

}  // namespace ds::node
