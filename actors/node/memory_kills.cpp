#include "actors/node/memory_kills.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <string>

namespace ds::node {

std::optional<std::uint64_t> parse_memory_kills(std::string_view vmstat) {
  constexpr std::string_view kName = "oom_kill ";
  for (std::size_t line = 0; line < vmstat.size(); line = vmstat.find('\n', line) + 1) {
    const auto rest = vmstat.substr(line);
    std::uint64_t count = 0;
    if (rest.starts_with(kName) &&
        std::from_chars(rest.data() + kName.size(), rest.data() + rest.size(), count).ec == std::errc{})
      return count;
    if (rest.find('\n') == std::string_view::npos) break;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> read_memory_kills() {
  std::ifstream file("/proc/vmstat");
  return parse_memory_kills(std::string(std::istreambuf_iterator<char>(file), {}));
}

void MemoryKills::on_tick(std::uint64_t count) {
  claimed_ = std::max(claimed_, last_);
  last_ = count;
}

bool MemoryKills::claim(std::uint64_t count) {
  if (count <= claimed_) return false;
  ++claimed_;
  return true;
}

}  // namespace ds::node
