#pragma once

#include <cstdint>
#include <initializer_list>

namespace ds::data {

/// What random numbers are for; keeps the streams of one seed apart. The values are part of what a seed
/// means: never reuse one.
enum class Stream : std::uint64_t {
  initial_parameters = 1,
  dropout = 2,
  block_order = 3,
  window_order = 4,
  transform = 5,
  shard_choice = 6
};

/// Random numbers that are a pure function of a key and a position, so that they can be drawn in any order,
/// by anybody, again.
///
/// The mixing is the output function of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014, with Stafford's variant 13 of the constants). Not for secrets. It uses integers
/// and exact conversions only, hence gives the same on every machine, compiler and library version.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, Stream stream, std::initializer_list<std::uint64_t> key)
      : key_(absorb(mix(seed), static_cast<std::uint64_t>(stream))) {
    for (const std::uint64_t word : key) key_ = absorb(key_, word);
  }

  std::uint64_t bits(std::uint64_t position) const { return mix(key_ + kGolden * (position + 1)); }

  /// In [0, 1), a multiple of 2^-53.
  double uniform(std::uint64_t position) const {
    return static_cast<double>(bits(position) >> 11U) * 0x1p-53;
  }

 private:
  static constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15U;

  static constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  static constexpr std::uint64_t absorb(std::uint64_t key, std::uint64_t word) {
    return mix(key + kGolden) ^ mix(word + 3 * kGolden);
  }

  std::uint64_t key_;
};

}  // namespace ds::data
