#pragma once

#include <bit>
#include <cstdint>
#include <string>

namespace ds {

/// A double in a message. CAF 0.17 corrupts infinities, NaNs, subnormals and -0.0; this travels as its IEEE
/// bits.
///
/// Two `Real`s are equal when their bits are; compared with a `double` it is a number like any other.
class Real {
 public:
  constexpr Real() = default;
  constexpr Real(double value) : bits_(std::bit_cast<std::uint64_t>(value)) {}  // NOLINT: implicit by design
  constexpr operator double() const { return std::bit_cast<double>(bits_); }    // NOLINT

  constexpr std::uint64_t bits() const { return bits_; }
  friend constexpr bool operator==(Real a, Real b) { return a.bits_ == b.bits_; }
  friend constexpr bool operator==(Real a, double b) { return static_cast<double>(a) == b; }

  template <class Inspector>
  friend auto inspect(Inspector& f, Real& x) {
    return f(x.bits_);
  }

 private:
  std::uint64_t bits_ = 0;
};

inline std::string to_string(Real x) {
  return std::to_string(static_cast<double>(x));
}

}  // namespace ds
