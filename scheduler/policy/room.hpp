#pragma once

#include <cstdint>

#include "scheduler/spec/slot_count.hpp"

namespace ds::scheduler {

/// What is free on a node, or what workers take.
struct Room {
  SlotCount slots;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpus = 0;
  bool operator==(const Room&) const = default;
};

inline Room plus(const Room& a, const Room& b) {
  return {a.slots + b.slots, a.memory_bytes + b.memory_bytes, a.gpus + b.gpus};
}

inline Room minus(const Room& a, const Room& b) {
  return {a.slots - b.slots, a.memory_bytes - b.memory_bytes, a.gpus - b.gpus};
}

}  // namespace ds::scheduler
