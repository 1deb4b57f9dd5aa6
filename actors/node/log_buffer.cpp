#include "actors/node/log_buffer.hpp"

#include <fmt/format.h>

namespace ds::node {

void LogBuffer::add(std::string_view bytes) {
  waiting_ += bytes;
  if (waiting_.size() <= kMaxBytes) return;
  auto cut = waiting_.find('\n', waiting_.size() - kMaxBytes / 2);
  cut = cut == std::string::npos ? waiting_.size() - kMaxBytes / 2 : cut + 1;
  waiting_.replace(0, cut, fmt::format("[ds: {} bytes of output were dropped here]\n", cut));
}

std::optional<std::string> LogBuffer::take() {
  if (busy_ || waiting_.empty()) return std::nullopt;
  auto size = waiting_.size();
  if (whole_lines_ && size <= kPieceBytes) {
    size = waiting_.rfind('\n') + 1;  // npos + 1 is 0
    if (size == 0) return std::nullopt;
  }
  if (size > kPieceBytes) {
    const auto line_end = waiting_.rfind('\n', kPieceBytes - 1);
    size = line_end == std::string::npos ? kPieceBytes : line_end + 1;
  }
  under_way_ = waiting_.substr(0, size);
  waiting_.erase(0, size);
  busy_ = true;
  return under_way_;
}

void LogBuffer::on_new_head() {
  if (busy_) waiting_.insert(0, under_way_);
  under_way_.clear();
  busy_ = false;
}

}  // namespace ds::node
