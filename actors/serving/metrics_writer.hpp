#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace ds::serving {

/// Prometheus' text format, version 0.0.4, family by family. Values of labels are identifiers and numbers:
/// nothing of them needs to be escaped.
class MetricsWriter {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  }
  /// `labels` as they stand between the braces; empty: there are none.
  template <class Number>
  void add(std::string_view suffix, std::string_view labels, Number value) {
    if (labels.empty()) {
      fmt::format_to(std::back_inserter(text_), "{}{} {}\n", name_, suffix, value);
    } else {
      fmt::format_to(std::back_inserter(text_), "{}{}{{{}}} {}\n", name_, suffix, labels, value);
    }
  }
  void bucket(std::string_view labels, std::string_view bound, std::uint64_t count) {
    add("_bucket", fmt::format("{}{}le=\"{}\"", labels, labels.empty() ? "" : ",", bound), count);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string_view name_;
  std::string text_;
};

}  // namespace ds::serving
