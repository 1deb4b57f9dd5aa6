#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <vector>

#include "actors/fabric/transport.hpp"

namespace ds::chaos {

inline constexpr std::size_t kSlots = 4;

/// Who runs in each slot now, as the driver told. Thread-safe.
class PeerTable {
 public:
  void put(std::size_t slot, const fabric::ProcessAddress& address) {
    std::lock_guard lock(mutex_);
    slots_.at(slot) = address;
  }
  std::optional<fabric::ProcessAddress> get(std::size_t slot) const {
    std::lock_guard lock(mutex_);
    return slots_.at(slot);
  }

 private:
  mutable std::mutex mutex_;
  std::array<std::optional<fabric::ProcessAddress>, kSlots> slots_;
};

}  // namespace ds::chaos
