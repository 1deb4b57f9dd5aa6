#include "scheduler/policy/gpu_kind.hpp"

#include <algorithm>
#include <string>

#include "scheduler/spec/gpu_kind_name.hpp"

namespace ds::scheduler {
namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool is_inside = false;
  for (const char c : text) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    const bool is_part = is_upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (is_part && !is_inside) words.emplace_back();
    if (is_part) words.back() += static_cast<char>(is_upper ? c - 'A' + 'a' : c);
    is_inside = is_part;
  }
  return words;
}

bool is_run_of(const std::string& word, const std::vector<std::string>& words) {
  for (std::size_t first = 0; first < words.size(); ++first) {
    std::string run;
    for (std::size_t next = first; next < words.size() && run.size() < word.size(); ++next)
      run += words[next];
    if (run == word) return true;
  }
  return false;
}

}  // namespace

bool is_gpu_kind(std::string_view wanted, std::string_view name) {
  if (wanted.empty() || wanted == name) return true;
  const auto words = words_of(name);
  return std::ranges::any_of(split_gpu_kinds(wanted), [&](std::string_view kind) {
    const auto asked = words_of(kind);
    return !asked.empty() &&
           std::ranges::all_of(asked, [&](const std::string& word) { return is_run_of(word, words); });
  });
}

std::optional<std::vector<std::uint32_t>> choose_devices(std::size_t gpus,
                                                         const std::set<std::uint32_t>& taken,
                                                         std::uint32_t count) {
  std::vector<std::uint32_t> chosen;
  for (std::uint32_t device = 0; device < gpus && chosen.size() < count; ++device) {
    if (!taken.contains(device)) chosen.push_back(device);
  }
  if (chosen.size() < count) return std::nullopt;
  return chosen;
}

}  // namespace ds::scheduler
