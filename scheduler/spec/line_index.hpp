#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {

/// Turns positions in a text, bytes counted from 0, into lines and characters counted from 1. A position
/// outside the text is moved to its nearest place inside, or right behind a line's last character. The text
/// must outlive it.
class LineIndex {
 public:
  explicit LineIndex(std::string_view text);

  Mark at(std::size_t line, std::size_t column) const;
  Mark at_offset(std::size_t offset) const;

  /// The text from there on; empty outside of it.
  std::string_view text_from(std::size_t line, std::size_t column) const;

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_;
};

}  // namespace ds::scheduler
