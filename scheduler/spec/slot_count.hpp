#pragma once

#include <cassert>
#include <compare>
#include <concepts>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

namespace ds::scheduler {

/// A number of slots, exact to the thousandth: a worker may have a part of one. Sums of them never drift, so
/// no slot is given twice by rounding.
///
/// A whole number becomes one by itself; nothing becomes a whole number again but by its name. Overflow and
/// going below 0 are as for unsigned numbers. Pure.
class SlotCount {
 public:
  static constexpr std::uint64_t kParts = 1000;  ///< of a slot

  constexpr SlotCount() = default;
  /// Not below 0; and a `bool` is no number of slots.
  template <std::integral Whole>
  requires(!std::same_as<Whole, bool>) constexpr SlotCount(Whole slots)
      : thousandths_(static_cast<std::uint64_t>(slots) * kParts) {
    if constexpr (std::signed_integral<Whole>) assert(slots >= 0);
  }
  static constexpr SlotCount of_thousandths(std::uint64_t thousandths) {
    SlotCount slots;
    slots.thousandths_ = thousandths;
    return slots;
  }
  /// None where it is no number of thousandths, is below 0, or is more than 32 bits count.
  static std::optional<SlotCount> from_number(double slots);

  constexpr std::uint64_t thousandths() const { return thousandths_; }
  constexpr bool is_whole() const { return thousandths_ % kParts == 0; }
  constexpr std::uint64_t rounded_down() const { return thousandths_ / kParts; }
  /// Of a whole number that number exactly.
  constexpr double number() const { return static_cast<double>(thousandths_) / static_cast<double>(kParts); }
  /// How often this, which is not 0, fits into `room`.
  constexpr std::uint64_t fits_into(SlotCount room) const { return room.thousandths_ / thousandths_; }

  friend constexpr auto operator<=>(SlotCount a, SlotCount b) = default;
  friend constexpr bool operator==(SlotCount a, SlotCount b) = default;
  friend constexpr SlotCount operator+(SlotCount a, SlotCount b) {
    return of_thousandths(a.thousandths_ + b.thousandths_);
  }
  friend constexpr SlotCount operator-(SlotCount a, SlotCount b) {
    return of_thousandths(a.thousandths_ - b.thousandths_);
  }
  friend constexpr SlotCount operator*(SlotCount slots, std::uint64_t times) {
    return of_thousandths(slots.thousandths_ * times);
  }
  friend constexpr SlotCount operator*(std::uint64_t times, SlotCount slots) { return slots * times; }
  constexpr SlotCount& operator+=(SlotCount more) { return *this = *this + more; }
  constexpr SlotCount& operator-=(SlotCount less) { return *this = *this - less; }

 private:
  std::uint64_t thousandths_ = 0;
};

/// The least of a slot that a worker may have: a hundred processes for each slot are as many as a node bears.
inline constexpr SlotCount kLeastSlots = SlotCount::of_thousandths(10);

/// `2`, `0.5`, `1.125`
std::string number_text(SlotCount slots);
/// `1 slot`, `0.5 slots`
std::string slots_text(SlotCount slots);
std::ostream& operator<<(std::ostream& out, SlotCount slots);

}  // namespace ds::scheduler
