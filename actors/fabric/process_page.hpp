#pragma once

#include <atomic>
#include <cstdint>

#include "actors/fabric/ring.hpp"
#include "actors/fabric/shared_segment.hpp"

namespace ds::fabric {

/// What a process shares with all others of its host, in a segment of its own; they all may write. All zero
/// at the start.
struct ProcessPage {
  static constexpr std::size_t kBytes = 4096;
  alignas(64) std::atomic<std::uint32_t> asleep{0};  ///< nobody looks at the rings: ring the doorbell
};

/// What a process shows to them, which it alone can write: no peer can keep a dead process alive for others.
struct ProcessPulse {
  static constexpr std::size_t kBytes = 4096;
  std::atomic<std::uint64_t> heartbeat{0};  ///< moves while the progress thread lives
};

/// Makes an eventfd readable.
void wake_by(int eventfd);

/// Another process's page and pulse, and the descriptor that wakes its progress thread.
class PeerBell {
 public:
  PeerBell(SharedSegment page, SharedSegment pulse, OwnedFd doorbell)
      : page_(std::move(page)), pulse_(std::move(pulse)), doorbell_(std::move(doorbell)) {}

  /// Call after something became visible in shared memory.
  void ring() {
    // Orders what was written before with the reader's last look after it said that it sleeps.
    full_fence();
    auto& asleep = page().asleep;
    if (asleep.load(std::memory_order_relaxed) != 0 && asleep.exchange(0) != 0) wake_by(doorbell_.get());
  }
  std::uint64_t heartbeat() const {
    return reinterpret_cast<const ProcessPulse*>(pulse_.bytes().data())
        ->heartbeat.load(std::memory_order_relaxed);
  }

 private:
  ProcessPage& page() const { return *reinterpret_cast<ProcessPage*>(page_.bytes().data()); }

  SharedSegment page_;
  SharedSegment pulse_;  // read-only
  OwnedFd doorbell_;
};

}  // namespace ds::fabric
