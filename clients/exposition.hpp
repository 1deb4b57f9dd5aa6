#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ds::clients {

/// One line of Prometheus' text format, 0.0.4, with what was said of its family before.
struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
  std::string type, help;  ///< empty: not said
  bool operator==(const Sample&) const = default;
};

/// All samples of such a text, in its order. Lines that are not understood are left out: a newer head may say
/// more. Pure.
std::vector<Sample> read_exposition(std::string_view text);

}  // namespace ds::clients
