#pragma once

#include <cstdint>

#include "scheduler/spec/slot_count.hpp"

namespace ds::scheduler {

/// What a queue has used lately, averaged so that the past counts half as much after each half-life. A queue
/// that has long used a steady number of slots has that number as its average.
struct DecayedUse {
  static constexpr std::int64_t kHalfLifeMs = 3'600'000;

  SlotCount slots_now;
  std::uint64_t memory_now = 0, gpus_now = 0;
  double slots = 0, memory_bytes = 0, gpus = 0;  ///< averages up to `at_ms`
  std::int64_t at_ms = 0;

  /// Brings the averages up to `now_ms`; a clock that went back changes nothing.
  void advance(std::int64_t now_ms);
  bool operator==(const DecayedUse&) const = default;
};

}  // namespace ds::scheduler
