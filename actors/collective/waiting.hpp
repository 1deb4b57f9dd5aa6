#pragma once

#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "storage/result.hpp"

namespace ds::collective {

/// A number in shared memory that only grows while somebody waits for it; one side writes, others wait.
struct alignas(8) SharedCounter {
  std::atomic<std::uint32_t> value{0};
  /// Who sleeps until `value` changes. One who died asleep stays counted: that costs wake-ups, nothing else.
  std::atomic<std::uint32_t> sleepers{0};
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

/// Tells a wait that it is in vain. Asked a few hundred times a second.
class Interruption {
 public:
  virtual ~Interruption() = default;
  virtual std::optional<Error> interrupted() = 0;
};

/// How a member waits for others on its host: it spins for as long as that has paid lately, then lets others
/// have the processor, then sleeps in slices, between which it looks whether to give up. Spinning pays only
/// while every member has a processor of its own; how long is learnt from how waits end (the competitive
/// spinning of A. Karlin et al., "Empirical Studies of Competitive Spinning for a Shared-Memory
/// Multiprocessor", SOSP 1991). Thread-safe.
class Waiting {
 public:
  explicit Waiting(std::uint32_t members);

  /// Returns when `ready()` is true, or why it will not be. `counter` changes whenever `ready()` may have
  /// become true.
  template <class Ready>
  Result<void> until(SharedCounter& counter, Interruption& interruption, Ready&& ready) {
    if (ready()) return {};
    if (spin(ready) || yield(ready)) return {};
    for (;;) {
      const std::uint32_t seen = counter.value.load(std::memory_order_acquire);
      if (ready()) return {};
      if (std::optional<Error> why = interruption.interrupted()) {
        // It may have come at the last moment, before its sender went.
        if (ready()) return {};
        return tl::unexpected(*std::move(why));
      }
      counter.sleepers.fetch_add(1, std::memory_order_seq_cst);
      if (!ready()) sleep(counter, seen);
      counter.sleepers.fetch_sub(1, std::memory_order_relaxed);
    }
  }

  /// Adds to the counter, after everything written before, and wakes who sleeps on it.
  static void advance(SharedCounter& counter, std::uint32_t by = 1);

 private:
  static constexpr std::uint32_t kMaxSpins = 4000;
  static constexpr std::uint32_t kMinSpins = 8;
  static constexpr std::chrono::microseconds kYieldTime{100};

  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  template <class Ready>
  bool spin(Ready& ready) {
    const std::uint32_t budget = spins_.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < budget; ++i) {
      pause();
      if (!ready()) continue;
      learn(budget, i * 4 + kMinSpins);
      return true;
    }
    return false;
  }

  template <class Ready>
  bool yield(Ready& ready) {
    const std::uint32_t budget = spins_.load(std::memory_order_relaxed);
    const auto begin = std::chrono::steady_clock::now();
    for (;;) {
      sched_yield();
      const bool is_ready = ready();
      const auto waited = std::chrono::steady_clock::now() - begin;
      if (is_ready) {
        // Just missed: spin longer next time. Long past: less.
        learn(budget, waited < kYieldTime / 4 ? budget * 4 : 0);
        return true;
      }
      if (waited > kYieldTime) break;
    }
    learn(budget, 0);
    return false;
  }

  void learn(std::uint32_t budget, std::uint32_t wanted);
  static void sleep(SharedCounter& counter, std::uint32_t seen);

  std::uint32_t max_spins_;
  std::atomic<std::uint32_t> spins_;
};

}  // namespace ds::collective
