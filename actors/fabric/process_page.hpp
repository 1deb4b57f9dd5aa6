#pragma once

#include <atomic>
#include <cstdint>

#include "actors/fabric/ring.hpp"
#include "actors/fabric/shared_segment.hpp"

namespace ds::fabric {

/// What a process shows to all others of its host, in a segment of its own. All zero at the start.
struct ProcessPage {
  static constexpr std::size_t kBytes = 4096;
  alignas(64) std::atomic<std::uint32_t> asleep{0};     ///< nobody looks at the rings: ring the doorbell
  alignas(64) std::atomic<std::uint64_t> heartbeat{0};  ///< moves while the progress thread lives
};

/// Makes an eventfd readable.
void wake_by(int eventfd);

/// Another process's page and the descriptor that wakes its progress thread.
class PeerBell {
 public:
  PeerBell(SharedSegment page, OwnedFd doorbell) : page_(std::move(page)), doorbell_(std::move(doorbell)) {}

  /// Call after something became visible in shared memory.
  void ring() {
    // Orders what was written before with the reader's last look after it said that it sleeps.
    full_fence();
    auto& asleep = page().asleep;
    if (asleep.load(std::memory_order_relaxed) != 0 && asleep.exchange(0) != 0) wake_by(doorbell_.get());
  }
  std::uint64_t heartbeat() const { return page().heartbeat.load(std::memory_order_relaxed); }

 private:
  ProcessPage& page() const { return *reinterpret_cast<ProcessPage*>(page_.bytes().data()); }

  SharedSegment page_;
  OwnedFd doorbell_;
};

}  // namespace ds::fabric
