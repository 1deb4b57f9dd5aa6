#include "scheduler/spec/scalars.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

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

bool is_duration(std::string_view text) {
  for (const std::string_view unit : {"ms", "s", "m", "h", "d"}) {
    if (text.ends_with(unit) && all_digits(text.substr(0, text.size() - unit.size()))) return true;
  }
  return false;
}

}  // namespace ds::scheduler
