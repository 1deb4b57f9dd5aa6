#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ds::clients {

/// `42s`, `3m07s`, `2h05m`, `4d03h`. Negative counts as 0.
std::string format_duration(std::int64_t seconds);

/// `512 B`, `1.5 KiB`, `12 MiB`.
std::string format_bytes(std::int64_t bytes);

/// Digits in groups of three: `12,345`.
std::string format_count(std::int64_t count);

/// `2030-01-31T08:00:00Z`.
std::string format_time(std::int64_t unix_ms);

/// Digits and one of `d`, `h`, `m`, `s`, `ms`, or several of these from the largest unit to the smallest,
/// each once, as in job files: `90s`, `1h30m`. None when it is no such text or more than 366 d.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace ds::clients
