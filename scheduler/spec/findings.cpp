#include "scheduler/spec/findings.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace ds::scheduler {

void Findings::add_error(std::string field, Mark mark, std::string message, std::string hint) {
  errors_.push_back({std::move(field), mark, std::move(message), std::move(hint)});
}

void Findings::add_unsupported(std::string field, Mark mark, std::string message, std::string hint) {
  unsupported_.push_back({std::move(field), mark, std::move(message), std::move(hint)});
}

Mark Findings::mark_of(std::string_view field) const {
  while (!field.empty()) {
    const auto found = marks_.find(std::string(field));
    if (found != marks_.end()) return found->second;
    const std::size_t dot = field.rfind('.');
    field = field.substr(0, dot == std::string_view::npos ? 0 : dot);
  }
  return {1, 1};
}

bool Findings::has_error_in(std::string_view field) const {
  return std::any_of(errors_.begin(), errors_.end(), [&](const SpecError& error) {
    if (!error.field.starts_with(field)) return false;
    return error.field.size() == field.size() || error.field[field.size()] == '.' ||
           error.field[field.size()] == '[';
  });
}

std::vector<SpecError> Findings::take_errors(std::size_t limit) {
  errors_.insert(errors_.end(), std::make_move_iterator(unsupported_.begin()),
                 std::make_move_iterator(unsupported_.end()));
  unsupported_.clear();
  std::stable_sort(errors_.begin(), errors_.end(), [](const SpecError& a, const SpecError& b) {
    return std::tie(a.mark.set, a.mark.line, a.mark.column) <
           std::tie(b.mark.set, b.mark.line, b.mark.column);
  });
  if (errors_.size() > limit) errors_.resize(limit);
  return std::move(errors_);
}

}  // namespace ds::scheduler
