#include "actors/data/keyed_permutation.hpp"

#include <bit>

namespace ds::data {
namespace {

/// More than the four of the theory: its bounds say little about halves of a few bits.
constexpr std::uint64_t kRounds = 8;

}  // namespace

KeyedPermutation::KeyedPermutation(std::uint64_t size, const RandomStream& key)
    : size_(size),
      half_bits_(size <= 1 ? 0 : (static_cast<unsigned>(std::bit_width(size - 1)) + 1) / 2),
      key_(key) {}

std::uint64_t KeyedPermutation::operator()(std::uint64_t value) const {
  if (size_ <= 1) return value;
  do {
    value = encipher(value);
  } while (value >= size_);
  return value;
}

std::uint64_t KeyedPermutation::encipher(std::uint64_t value) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::uint64_t next = left ^ (key_.bits(round << half_bits_ | right) & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

}  // namespace ds::data
