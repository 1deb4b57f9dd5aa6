#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ds::scheduler {

/// What went wrong when a text was read as a number.
enum class NumberFault { none, not_a_number, not_whole, octal, out_of_range, not_finite };

template <class T>
struct ParsedNumber {
  T value{};
  NumberFault fault = NumberFault::none;
};

/// Reads decimal digits; no sign but `-`, no leading zero (`octal`: other YAML readers take 010 for 8), no
/// exponent. A negative number is `out_of_range`.
ParsedNumber<std::uint64_t> parse_whole(std::string_view text);

/// Reads a finite decimal number as YAML 1.2 writes it: `1e-3`, `.5`, `2.`; `.inf` and `.nan` are
/// `not_finite`.
ParsedNumber<double> parse_real(std::string_view text);

/// Bytes of a size: digits and nothing or one of Ki, Mi, Gi, Ti, Pi (powers of 1024). None when it is no such
/// size, or is more than 2^63.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// The shortest exact form that `parse_size` reads: `8Gi`, `1536Mi`, `1000`.
std::string to_size_text(std::uint64_t bytes);

/// Unix time in milliseconds of a moment as RFC 3339 writes it, with its offset: `2030-01-31T08:00:00Z`,
/// `2030-01-31T09:00:00.5+01:00`. None when it is no such text or no day of the calendar, or is after 2200.
std::optional<std::int64_t> parse_time_ms(std::string_view text);

/// `2030-01-31T08:00:00Z`: to the second.
std::string to_time_text(std::int64_t unix_ms);

/// Milliseconds of a text that `is_duration`; none when they are more than 2^53.
std::optional<std::int64_t> parse_duration_ms(std::string_view text);

/// Whether `text` is a duration as job files write them: digits and one of `d`, `h`, `m`, `s`, `ms`, or
/// several of these from the largest unit to the smallest, each once: `90s`, `1h30m`.
bool is_duration(std::string_view text);

}  // namespace ds::scheduler
