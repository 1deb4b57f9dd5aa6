#include "actors/data/word_window.hpp"

namespace ds::data {

void WordWindow::add(std::string_view word) {
  if (begins_.size() == most_) {
    const std::size_t gone = most_ > 1 ? begins_[1] : joined_.size();
    joined_.erase(0, gone);
    begins_.erase(begins_.begin());
    for (std::size_t& begin : begins_) begin -= gone;
  }
  if (!begins_.empty()) joined_ += ' ';
  begins_.push_back(joined_.size());
  joined_ += word;
}

std::string_view WordWindow::newest(std::uint32_t n) const {
  return std::string_view(joined_).substr(begins_[begins_.size() - n]);
}

}  // namespace ds::data
