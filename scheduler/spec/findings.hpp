#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {

/// What reading a job file found out: the errors in the order of finding, and where fields stand.
class Findings {
 public:
  /// `mark` is the line and column the message is about.
  void add_error(std::string field, Mark mark, std::string message, std::string hint = {});
  /// The same for a setting that is right, but not supported yet: rules about it hold all the same.
  void add_unsupported(std::string field, Mark mark, std::string message, std::string hint);
  void add_mark(std::string field, Mark mark) { marks_.emplace(std::move(field), mark); }

  /// The mark of `field`, else of the nearest section around it, else of the start of the file.
  Mark mark_of(std::string_view field) const;
  /// Whether something is wrong with `field` or something inside it, support aside.
  bool has_error_in(std::string_view field) const;
  bool empty() const { return errors_.empty() && unsupported_.empty(); }

  /// The errors in file order, those of overrides last, the first `limit` of them.
  std::vector<SpecError> take_errors(std::size_t limit);
  std::map<std::string, Mark> take_marks() { return std::move(marks_); }

 private:
  std::vector<SpecError> errors_;
  std::vector<SpecError> unsupported_;
  std::map<std::string, Mark> marks_;
};

}  // namespace ds::scheduler
