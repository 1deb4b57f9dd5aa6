#pragma once

#include <cstdint>
#include <string>

namespace ds::clients {

/// `42s`, `3m07s`, `2h05m`, `4d03h`. Negative counts as 0.
std::string format_duration(std::int64_t seconds);

/// `512 B`, `1.5 KiB`, `12 MiB`.
std::string format_bytes(std::int64_t bytes);

/// Digits in groups of three: `12,345`.
std::string format_count(std::int64_t count);

}  // namespace ds::clients
