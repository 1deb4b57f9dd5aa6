#include "scheduler/spec/syntax_hint.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace ds::scheduler {

std::string hint_for_syntax(std::string_view message, std::string_view line) {
  constexpr auto kHints = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"illegal map value", "check the indentation; a value with a colon and a space inside needs quotes"},
      {"end of map not found", "check the indentation and the quotes here and in the line before"},
      {"end of sequence not found", "check the indentation and the quotes here and in the line before"},
      {"end of map flow not found", "a { is not closed, or a comma is missing"},
      {"end of sequence flow not found", "a [ is not closed, or a comma is missing"},
      {"illegal flow end", "a ] or } closes what is not open"},
      {"illegal EOF in scalar", "a quote is not closed"},
      {"unknown token", "a value that starts with @, ` or % needs quotes"},
  });
  if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos) {
    return "indent with spaces, not with tabs";
  }
  const auto found =
      std::find_if(kHints.begin(), kHints.end(), [&](const auto& hint) { return hint.first == message; });
  return found == kHints.end() ? "" : std::string(found->second);
}

}  // namespace ds::scheduler
