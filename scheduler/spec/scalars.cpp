#include "scheduler/spec/scalars.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <system_error>
#include <vector>

namespace ds::scheduler {
namespace {

constexpr std::uint64_t kLargestSize = 1ULL << 63;

struct SizeUnit {
  std::string_view suffix;
  unsigned shift;
};
constexpr std::array<SizeUnit, 5> kSizeUnits{{{"Pi", 50}, {"Ti", 40}, {"Gi", 30}, {"Mi", 20}, {"Ki", 10}}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

/// `digits`, `digits.`, `.digits` or `digits.digits`, then perhaps an exponent.
bool is_decimal(std::string_view text) {
  const std::size_t exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos) {
    std::string_view power = text.substr(exponent + 1);
    if (!power.empty() && (power.front() == '+' || power.front() == '-')) power.remove_prefix(1);
    if (!all_digits(power)) return false;
    text = text.substr(0, exponent);
  }
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) return all_digits(text);
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = text.substr(point + 1);
  return (!whole.empty() || !fraction.empty()) && (whole.empty() || all_digits(whole)) &&
         (fraction.empty() || all_digits(fraction));
}

bool is_infinity_or_nan(std::string_view text) {
  std::string lower;
  for (const char c : text) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::string_view word = lower;
  if (word.starts_with('-') || word.starts_with('+')) word.remove_prefix(1);
  if (word.starts_with('.')) word.remove_prefix(1);
  return word == "inf" || word == "nan" || word == "infinity";
}

}  // namespace

ParsedNumber<std::uint64_t> parse_whole(std::string_view text) {
  if (!all_digits(text)) {
    const ParsedNumber<double> real = parse_real(text);
    if (real.fault == NumberFault::none && text.starts_with('-') && all_digits(text.substr(1))) {
      return {0, NumberFault::out_of_range};
    }
    return {0, real.fault == NumberFault::none ? NumberFault::not_whole : real.fault};
  }
  if (text.size() > 1 && text.front() == '0') return {0, NumberFault::octal};
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return {0, NumberFault::out_of_range};
  return {value, NumberFault::none};
}

ParsedNumber<double> parse_real(std::string_view text) {
  if (is_infinity_or_nan(text)) return {0, NumberFault::not_finite};
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (!is_decimal(digits)) return {0, NumberFault::not_a_number};
  if (digits.size() > 1 && all_digits(digits) && digits.front() == '0') return {0, NumberFault::octal};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || !std::isfinite(value)) return {0, NumberFault::out_of_range};
  return {value, NumberFault::none};
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  unsigned shift = 0;
  for (const SizeUnit& unit : kSizeUnits) {
    if (text.ends_with(unit.suffix)) {
      shift = unit.shift;
      text.remove_suffix(unit.suffix.size());
      break;
    }
  }
  const ParsedNumber<std::uint64_t> number = parse_whole(text);
  if (number.fault != NumberFault::none || number.value > (kLargestSize >> shift)) return std::nullopt;
  return number.value << shift;
}

std::string to_size_text(std::uint64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits) {
    if (bytes != 0 && bytes % (1ULL << unit.shift) == 0) {
      return std::to_string(bytes >> unit.shift) + std::string(unit.suffix);
    }
  }
  return std::to_string(bytes);
}

namespace {

/// Takes `count` digits off the front of `text`, and `after` behind them (0: nothing); none, and `text` is
/// spoilt, when they are not there.
std::optional<int> take_number(std::string_view& text, std::size_t count, char after) {
  const std::size_t length = count + (after == 0 ? 0 : 1);
  if (text.size() < length || !all_digits(text.substr(0, count))) return std::nullopt;
  if (after != 0 && text[count] != after) return std::nullopt;
  int value = 0;
  std::from_chars(text.data(), text.data() + count, value);
  text.remove_prefix(length);
  return value;
}

/// `.25` in milliseconds, and 0 when `text` does not begin with a point; none when no digits follow it.
std::optional<std::int64_t> take_fraction_ms(std::string_view& text) {
  if (!text.starts_with('.')) return 0;
  text.remove_prefix(1);
  std::int64_t ms = 0, unit = 100;
  const auto end = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
  if (end == 0 || end > 9) return std::nullopt;
  for (const char digit : text.substr(0, end)) {
    ms += (digit - '0') * unit;
    unit /= 10;
  }
  text.remove_prefix(end);
  return ms;
}

/// Minutes east of UTC that `text` is, as a whole.
std::optional<int> read_offset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (!text.starts_with('+') && !text.starts_with('-')) return std::nullopt;
  const int sign = text.front() == '+' ? 1 : -1;
  text.remove_prefix(1);
  const auto hours = take_number(text, 2, ':');
  const auto minutes = hours ? take_number(text, 2, 0) : std::nullopt;
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 60 + *minutes);
}

}  // namespace

std::optional<std::int64_t> parse_time_ms(std::string_view text) {
  using namespace std::chrono;
  const auto y = take_number(text, 4, '-');
  const auto m = y ? take_number(text, 2, '-') : std::nullopt;
  const auto d = m ? take_number(text, 2, 0) : std::nullopt;
  if (!d || text.empty() || (text.front() != 'T' && text.front() != 't' && text.front() != ' '))
    return std::nullopt;
  text.remove_prefix(1);
  const auto hours_part = take_number(text, 2, ':');
  const auto minutes_part = hours_part ? take_number(text, 2, ':') : std::nullopt;
  const auto seconds_part = minutes_part ? take_number(text, 2, 0) : std::nullopt;
  const auto fraction = seconds_part ? take_fraction_ms(text) : std::nullopt;
  const auto offset = fraction ? read_offset(text) : std::nullopt;
  const year_month_day day{year(y.value_or(0)), month(static_cast<unsigned>(m.value_or(0))),
                           std::chrono::day(static_cast<unsigned>(*d))};
  if (!offset || !day.ok() || *y < 1970 || *y > 2200) return std::nullopt;
  if (*hours_part > 23 || *minutes_part > 59 || *seconds_part > 60) return std::nullopt;  // 60: a leap second
  const auto moment = sys_days(day) + hours(*hours_part) + minutes(*minutes_part - *offset) +
                      seconds(*seconds_part) + milliseconds(*fraction);
  return duration_cast<milliseconds>(moment.time_since_epoch()).count();
}

std::string to_time_text(std::int64_t unix_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> moment{milliseconds(unix_ms)};
  const auto midnight = floor<days>(moment);
  const year_month_day day{midnight};
  const hh_mm_ss time{floor<seconds>(moment - midnight)};
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(day.year()),
                static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  return text.data();
}

namespace {

struct DurationUnit {
  std::string_view name;
  std::uint64_t ms;
};
constexpr std::array<DurationUnit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

/// Of `1h30m` the `1h`.
struct DurationPart {
  std::string_view digits;
  std::size_t unit = 0;  ///< of `kDurationUnits`
};

/// Takes the part that `text` begins with off its front; none, and `text` is spoilt, when it begins with
/// none.
std::optional<DurationPart> take_duration_part(std::string_view& text) {
  const auto end = std::ranges::find_if_not(text, is_digit);
  const auto count = static_cast<std::size_t>(end - text.begin());
  DurationPart part{text.substr(0, count)};
  text.remove_prefix(count);
  if (count == 0) return std::nullopt;
  const std::string_view unit = text.starts_with("ms") ? text.substr(0, 2) : text.substr(0, 1);
  const auto found = std::ranges::find(kDurationUnits, unit, &DurationUnit::name);
  if (found == kDurationUnits.end()) return std::nullopt;
  text.remove_prefix(unit.size());
  part.unit = static_cast<std::size_t>(found - kDurationUnits.begin());
  return part;
}

/// The parts of a duration; none when it is no such text.
std::vector<DurationPart> parts_of_duration(std::string_view text) {
  std::vector<DurationPart> parts;
  while (!text.empty()) {
    const auto part = take_duration_part(text);
    if (!part || (!parts.empty() && part->unit <= parts.back().unit)) return {};
    parts.push_back(*part);
  }
  return parts;
}

}  // namespace

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
  constexpr std::uint64_t kMost = 1ULL << 53;
  const auto parts = parts_of_duration(text);
  std::uint64_t sum = 0;
  for (const auto& [digits, unit] : parts) {
    const std::uint64_t unit_ms = kDurationUnits[unit].ms;
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (error != std::errc{} || count > (kMost - sum) / unit_ms) return std::nullopt;
    sum += count * unit_ms;
  }
  return parts.empty() ? std::nullopt : std::optional(static_cast<std::int64_t>(sum));
}

bool is_duration(std::string_view text) {
  return !parts_of_duration(text).empty();
}

}  // namespace ds::scheduler
