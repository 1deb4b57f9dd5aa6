#include "scheduler/spec/gpu_kind_name.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

namespace ds::scheduler {
namespace {

constexpr std::size_t kMaxBytes = 63;
constexpr std::array<std::string_view, 11> kOtherWords = {"true", "false", "yes", "no",  "on",  "off",
                                                          "none", "null",  "all", "any", "auto"};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_part(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == ' ';
}

}  // namespace

bool is_gpu_kind_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxBytes || !is_letter(text.front()) || text.back() == ' ') return false;
  if (!std::ranges::all_of(text, is_part)) return false;
  std::string small(text);
  for (char& c : small) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::ranges::find(kOtherWords, small) == kOtherWords.end();
}

std::vector<std::string_view> split_gpu_kinds(std::string_view kinds) {
  std::vector<std::string_view> found;
  while (!kinds.empty()) {
    const auto end = std::min(kinds.find(kGpuKindSeparator), kinds.size());
    found.push_back(kinds.substr(0, end));
    kinds.remove_prefix(std::min(end + 1, kinds.size()));
  }
  return found;
}

std::string gpu_kinds_text(std::string_view kinds) {
  const auto names = split_gpu_kinds(kinds);
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 < names.size() ? ", " : " or ") + std::string(names[i]);
  return text;
}

}  // namespace ds::scheduler
