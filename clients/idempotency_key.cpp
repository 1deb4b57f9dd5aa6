#include "clients/idempotency_key.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <random>

namespace ds::clients {

std::string make_idempotency_key() {
  std::random_device device;  // the kernel's generator, not a seeded one: two clients must never agree
  std::array<std::uint32_t, 4> words{};
  for (auto& word : words) word = device();
  words[1] = (words[1] & 0xffff0fffU) | 0x00004000U;
  words[2] = (words[2] & 0x3fffffffU) | 0x80000000U;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}", words[0], words[1] >> 16, words[1] & 0xffffU,
                     words[2] >> 16, words[2] & 0xffffU, words[3]);
}

}  // namespace ds::clients
