#include "clients/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <utility>

namespace ds::clients {

std::string format_duration(std::int64_t seconds) {
  seconds = std::max<std::int64_t>(0, seconds);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

std::string format_bytes(std::int64_t bytes) {
  static constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(std::max<std::int64_t>(0, bytes));
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit > 0 && value < 10 ? fmt::format("{:.1f} {}", value, kUnits.at(unit))
                                : fmt::format("{:.0f} {}", value, kUnits.at(unit));
}

std::string format_count(std::int64_t count) {
  std::string digits = std::to_string(count);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (count < 0 ? 1 : 0); at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

std::string format_time(std::int64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  if (unix_ms < 0 || gmtime_r(&seconds, &parts) == nullptr) return "-";
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
      {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
  constexpr std::int64_t kMost = 366 * 86'400'000LL;
  if (text.empty()) return std::nullopt;
  std::int64_t sum = 0;
  for (auto next = kUnits.begin(); !text.empty(); ++next) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const bool is_signed = text.front() == '-';
    if (error != std::errc{} || is_signed) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit = text.starts_with("ms") ? text.substr(0, 2) : text.substr(0, 1);
    next = std::find_if(next, kUnits.end(), [&](const auto& one) { return one.first == unit; });
    if (next == kUnits.end() || count > (kMost - sum) / next->second) return std::nullopt;
    sum += count * next->second;
    text.remove_prefix(unit.size());
  }
  return std::chrono::milliseconds(sum);
}

}  // namespace ds::clients
