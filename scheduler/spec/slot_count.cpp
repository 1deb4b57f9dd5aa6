#include "scheduler/spec/slot_count.hpp"

#include <cmath>
#include <limits>
#include <ostream>

namespace ds::scheduler {

std::optional<SlotCount> SlotCount::from_number(double slots) {
  if (!(slots >= 0 && slots <= std::numeric_limits<std::uint32_t>::max())) return std::nullopt;
  const double thousandths = slots * static_cast<double>(kParts);
  const double nearest = std::round(thousandths);
  // The decimal text of a thousandth is off by half a unit in the last place at most, times the thousand.
  if (std::abs(thousandths - nearest) > 1e-15 * (1 + thousandths)) return std::nullopt;
  return of_thousandths(static_cast<std::uint64_t>(nearest));
}

std::string number_text(SlotCount slots) {
  std::string text = std::to_string(slots.rounded_down());
  if (slots.is_whole()) return text;
  std::string parts = std::to_string(SlotCount::kParts + slots.thousandths() % SlotCount::kParts);
  parts.front() = '.';
  parts.erase(parts.find_last_not_of('0') + 1);
  return text + parts;
}

std::string slots_text(SlotCount slots) {
  return number_text(slots) + (slots == 1 ? " slot" : " slots");
}

std::ostream& operator<<(std::ostream& out, SlotCount slots) {
  return out << number_text(slots);
}

}  // namespace ds::scheduler
