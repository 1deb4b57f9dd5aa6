#pragma once

#include <cstdint>
#include <cstring>
#include <random>

#include "actors/fabric/buffer.hpp"

namespace ds::chaos {

/// Bytes that follow from `key` alone, so that the receiver can tell whether one is wrong.
inline Buffer make_payload(std::uint64_t key, std::size_t size) {
  return Buffer::make(size, [&](std::span<std::byte> out) {
    std::uint64_t word = key * 0x9e3779b97f4a7c15 + 1;
    for (std::size_t at = 0; at < out.size(); at += sizeof(word)) {
      word = word * 6364136223846793005 + 1442695040888963407;
      std::memcpy(out.data() + at, &word, std::min(sizeof(word), out.size() - at));
    }
  });
}

inline bool is_payload(const Buffer& bytes, std::uint64_t key) {
  std::uint64_t word = key * 0x9e3779b97f4a7c15 + 1;
  const auto in = bytes.bytes();
  for (std::size_t at = 0; at < in.size(); at += sizeof(word)) {
    word = word * 6364136223846793005 + 1442695040888963407;
    if (std::memcmp(in.data() + at, &word, std::min(sizeof(word), in.size() - at)) != 0) return false;
  }
  return true;
}

/// Mostly small, some of 1 to 64 KiB, few of 1 to 8 MiB.
inline std::size_t draw_size(std::mt19937_64& random) {
  const auto kind = random() % 400;
  if (kind == 0) return (std::size_t{1} << 20) + random() % (std::size_t{7} << 20);
  if (kind < 40) return 1024 + random() % (63 * 1024);
  return random() % 200;
}

}  // namespace ds::chaos
