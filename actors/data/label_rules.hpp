#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/data/sample.hpp"
#include "actors/data/text_table.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// Which labels occur, and how often. Not thread-safe; the sum of several does not depend on who counted
/// what.
class LabelCounts {
 public:
  static constexpr std::size_t kMaxClasses = 1'000'000;

  /// A class's name, a class's number, or a mask, whose elements are counted.
  void add(const Value& label);
  void add(const LabelCounts& other);

  /// The names of the classes: whole numbers in rising order, others sorted as texts. Empty when the labels
  /// are numbers with fractions: those are no classes. `invalid_argument` past `kMaxClasses`.
  Result<std::vector<std::string>> classes() const;
  std::uint64_t count_of(const std::string& name) const;

 private:
  void add_text(std::string_view text, std::uint64_t count);

  std::unordered_map<std::string, std::uint64_t> texts_;
  std::map<std::int64_t, std::uint64_t> wholes_;
  bool overflows_ = false;
  bool only_numbers_ = true, has_fractions_ = false;  // of the texts
};

/// Turns labels as they stand in the files into numbers. Immutable; any thread.
class LabelRules {
 public:
  static constexpr std::int64_t kUnknown = -1;  ///< the training set has no such label

  LabelRules() = default;
  /// No `classes`: the label is a number.
  explicit LabelRules(std::vector<std::string> classes);
  LabelRules(const LabelRules&) = delete;
  LabelRules& operator=(const LabelRules&) = delete;

  /// What becomes of the label's plan.
  void plan(FieldPlan& field) const;
  /// `invalid_argument` for a text that is no number where one is needed.
  Result<void> apply(Value& label) const;

 private:
  std::int64_t number_of(std::int64_t value) const;

  std::vector<std::string> classes_;
  TextTable table_;
  std::vector<std::int64_t> values_;  // of classes that are whole numbers, rising
  bool is_identity_ = false;          // they are 0, 1, 2, …
};

}  // namespace ds::data
