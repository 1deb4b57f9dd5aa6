#pragma once

#include <cstdint>

#include "actors/data/random_stream.hpp"

namespace ds::data {

/// A permutation of [0, size) that a key chooses, evaluated at one place in constant time and memory.
///
/// A balanced Feistel network (a bijection whatever its round function is: Luby and Rackoff, "How to
/// Construct Pseudorandom Permutations from Pseudorandom Functions", 1988) on the smallest power of four that
/// is not below `size`, applied until the value falls below `size` (cycle walking: Black and Rogaway,
/// "Ciphers with Arbitrary Finite Domains", CT-RSA 2002): four times at most on average. Immutable; any
/// thread.
class KeyedPermutation {
 public:
  KeyedPermutation(std::uint64_t size, const RandomStream& key);

  /// `value` must be below `size`.
  std::uint64_t operator()(std::uint64_t value) const;

 private:
  std::uint64_t encipher(std::uint64_t value) const;

  std::uint64_t size_;
  unsigned half_bits_;
  RandomStream key_;
};

}  // namespace ds::data
