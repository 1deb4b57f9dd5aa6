#pragma once

#include <cstdint>

namespace ds::scheduler {

/// What is free on a node, or what workers take.
struct Room {
  std::uint64_t slots = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpus = 0;
};

inline Room plus(const Room& a, const Room& b) {
  return {a.slots + b.slots, a.memory_bytes + b.memory_bytes, a.gpus + b.gpus};
}

inline Room minus(const Room& a, const Room& b) {
  return {a.slots - b.slots, a.memory_bytes - b.memory_bytes, a.gpus - b.gpus};
}

}  // namespace ds::scheduler
